//! The binary from outside: one program of end-to-end tests. Each test has a directory, ports and an environment of its own.

mod abuse;
mod alerts;
mod boards;
mod cli;
mod crash;
mod deltas;
mod demo;
mod differential;
mod doors;
mod golden;
mod harness;
mod kept;
mod metrics;
mod node_sdk;
mod prometheus;
mod python;
mod python_sdk;
mod relay;
mod remote_write;
mod retention;
mod rule_files;
mod rules;
mod rust_sdk;
mod scrape;
mod serve;
mod watch;
