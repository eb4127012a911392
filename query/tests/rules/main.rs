//! Rules: files, the state machine, templates, unit tests, the engine over a store, notifications.

mod alerting;
mod check;
mod engine;
mod file;
mod notify;
mod promtool;
mod restart;
mod template;
mod unit;
mod world;

// Written for libFuzzer, replayed here.
#[path = "../../../tests/fuzz/src/rules.rs"]
mod fuzzed;
#[path = "../../../tests/fuzz/src/replay.rs"]
mod replay;

#[test]
fn nothing_that_was_fuzzed_is_a_defect_again() {
    replay::replay(&fuzzed::TARGETS);
}
