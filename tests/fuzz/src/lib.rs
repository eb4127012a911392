//! What is fuzzed, as functions of bytes: libFuzzer calls them from `fuzz_targets/`, and the test binaries of the crates
//! include these very files and replay the corpora and mutations of them, without libFuzzer.

pub mod otlp;
pub mod replay;
pub mod rules;
pub mod scrape;
pub mod search;

/// The target of this name.
pub fn target(name: &str) -> fn(&[u8]) {
    let of_texts = search::TARGETS.into_iter().chain(rules::TARGETS);
    let all = otlp::TARGETS.into_iter().chain(of_texts).chain(scrape::TARGETS);
    all.into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, target)| target)
        .expect("every program is named after a target")
}
