//! Tests of search: the filter language against cases in text files.

mod grammar;
