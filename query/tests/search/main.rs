//! Tests of search: the filter language against cases in text files, answers against an
//! oracle, and the HTTP API.

mod api;
mod counts;
mod grammar;
mod naive;
mod oracle;
mod world;

// Written for libFuzzer, replayed here.
#[path = "../../../tests/fuzz/src/search.rs"]
mod fuzzed;
#[path = "../../../tests/fuzz/src/replay.rs"]
mod replay;

#[test]
fn nothing_that_was_fuzzed_is_a_defect_again() {
    replay::replay(&fuzzed::TARGETS);
}
