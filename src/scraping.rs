//! The scraper as the API wants to see it: two crates that do not know each other.

use std::collections::BTreeMap;

use collector::scrape::Scraper;
use model::wire::prom::{ActiveTarget, DroppedTarget, Labels, TargetMetadata};
use query::api::Scraping;

/// What the API shows of a scraper.
pub struct Shown(pub Scraper);

impl Scraping for Shown {
    fn pools(&self) -> Vec<String> {
        self.0.job_names()
    }

    fn active(&self, pool: Option<&str>) -> Vec<ActiveTarget> {
        self.0.active(pool)
    }

    fn dropped(&self, pool: Option<&str>) -> Vec<DroppedTarget> {
        self.0.dropped(pool)
    }

    fn dropped_counts(&self) -> BTreeMap<String, u64> {
        self.0.dropped_counts()
    }

    fn metadata(&self, metric: Option<&str>, limit: usize, wanted: &dyn Fn(&Labels) -> bool) -> Vec<TargetMetadata> {
        self.0.metadata(metric, limit, wanted)
    }
}
