//! What the SDK says on stderr, one line at a time, with the name of the service: several may share a terminal.

use std::io::Write;
use std::sync::OnceLock;

static SERVICE: OnceLock<String> = OnceLock::new();

/// Names the service, before anything is said.
pub(crate) fn as_service(name: String) {
    let _ = SERVICE.set(name);
}

/// One line on stderr. `eprintln` panics when nobody reads it any more; a service does not die of that.
pub(crate) fn say(line: &str) {
    let service = SERVICE.get().map_or("", String::as_str);
    // One write, so that the lines of several processes do not run into each other.
    let _ = std::io::stderr().write_all(format!("sextant-sdk: {service}: {line}\n").as_bytes());
}
