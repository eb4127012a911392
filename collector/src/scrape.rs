//! Prometheus's way the other way round: targets that are asked for their metrics. What `scrape_configs` of a `prometheus.yml` say
//! ([`Config`]), from lists of targets to rows behind the same door as everything else.

pub mod config;
mod duration;
pub mod exposition;
mod files;
pub mod known;
pub mod labels;
pub mod relabel;
mod request;
pub mod target;
mod tls;
mod yaml;
