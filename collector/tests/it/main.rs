//! The write path from outside: conversion against a reconstruction of what was sent, and both doors over the network with
//! a store behind them. One program, so that it links once.

mod cases;
mod conformance;
mod equivalence;
mod faulty;
mod flatten;
mod generate;
mod grpc;
mod http;
mod json;
mod odd;
mod oracle;
mod rebuild;
mod reference;
mod remote_write;
mod retention;
mod roundtrip;
mod scrape;
mod series;
mod support;
mod walker;

// Written for libFuzzer, replayed here.
#[path = "../../../tests/fuzz/src/otlp.rs"]
mod fuzzed;
#[path = "../../../tests/fuzz/src/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/src/scrape.rs"]
mod scrape_fuzzed;

#[test]
fn nothing_that_was_fuzzed_is_a_defect_again() {
    replay::replay(&fuzzed::TARGETS);
    replay::replay(&scrape_fuzzed::TARGETS);
}
