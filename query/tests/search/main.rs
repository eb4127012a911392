//! Tests of search: the filter language against cases in text files, and answers against an oracle.

mod grammar;
mod naive;
mod oracle;
mod world;
