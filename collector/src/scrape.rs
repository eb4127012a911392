//! Prometheus's way the other way round: targets that are asked for their metrics, as `scrape_configs` of a `prometheus.yml` say. From
//! lists of targets to rows behind the same door as everything else.
//!
//! [`config`] reads the file, [`Scraper`] keeps a pool of targets for each of its jobs, a task for each target asks it, [`exposition`]
//! reads what it answers, [`known`] decides what that means for its series, and what comes of it goes through the [`crate::Intake`] as a
//! request of remote write. The root package makes the [`Scraper`] and shows it.

mod client;
pub mod config;
mod discovery;
pub mod exposition;
pub mod harvest;
pub mod known;
pub mod labels;
mod moment;
mod negotiation;
mod pool;
pub mod relabel;
mod repeat;
mod request;
mod scraper;
mod size;
mod stats;
pub mod target;

pub use self::scraper::{Scraper, Settings, Setup};
