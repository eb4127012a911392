//! Tests of search: the filter language against cases in text files, answers against an
//! oracle, and the HTTP API.

mod api;
mod counts;
mod grammar;
mod naive;
mod oracle;
mod world;
