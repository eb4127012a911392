//! What is fuzzed, as functions of bytes: libFuzzer calls them from `fuzz_targets/`, and the test binaries of the crates
//! include these very files and replay the corpora and mutations of them, without libFuzzer.

pub mod otlp;
pub mod replay;
pub mod rules;
pub mod search;

/// The target of this name.
pub fn target(name: &str) -> fn(&[u8]) {
    let all = otlp::TARGETS.into_iter().chain(search::TARGETS).chain(rules::TARGETS);
    all.into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, target)| target)
        .expect("every program is named after a target")
}
