//! `targets`, `scrape_pools` and `targets/metadata`: what is scraped. Someone else scrapes ([`Scraping`]); where nobody does there are no
//! targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use model::Labels;
use model::wire::prom::{self as wire, ActiveTarget, DroppedTarget, ScrapePools, TargetMetadata, Targets};

use super::{Params, PromError, PromState, Reply};
use crate::promql::{all_accept, series_selector};

/// Who scrapes.
pub trait Scraping: Send + Sync {
    /// The names of the jobs, sorted.
    fn pools(&self) -> Vec<String>;

    /// The targets that are scraped, of one job or of all.
    fn active(&self, pool: Option<&str>) -> Vec<ActiveTarget>;

    /// The targets that relabelling dropped, of one job or of all.
    fn dropped(&self, pool: Option<&str>) -> Vec<DroppedTarget>;

    /// How many relabelling dropped, by job.
    fn dropped_counts(&self) -> BTreeMap<String, u64>;

    /// What targets say of one metric, or of all. No further target is asked once there are `limit` answers. `wanted` judges the
    /// labels of a target.
    fn metadata(
        &self,
        metric: Option<&str>,
        limit: usize,
        wanted: &dyn Fn(&wire::Labels) -> bool,
    ) -> Vec<TargetMetadata>;
}

/// Who scrapes, if anybody does.
pub type MaybeScraping = Option<Arc<dyn Scraping>>;

pub(super) async fn targets(State(state): State<PromState>, params: Params) -> Reply<Targets> {
    let asked = params.text("state").to_ascii_lowercase();
    // Whatever else it says means both, as in Prometheus.
    let (active, dropped) = (asked != "dropped", asked != "active");
    let pool = Some(params.text("scrapePool")).filter(|pool| !pool.is_empty());
    let scraping = state.api.scraping.as_deref();
    Reply::plain(Targets {
        active_targets: scraping.filter(|_| active).map_or(Vec::new(), |scraping| scraping.active(pool)),
        dropped_targets: scraping.filter(|_| dropped).map_or(Vec::new(), |scraping| scraping.dropped(pool)),
        dropped_target_counts: dropped.then(|| scraping.map_or_else(BTreeMap::new, Scraping::dropped_counts)),
    })
}

pub(super) async fn scrape_pools(State(state): State<PromState>) -> Reply<ScrapePools> {
    Reply::plain(ScrapePools { scrape_pools: state.api.scraping.map_or(Vec::new(), |scraping| scraping.pools()) })
}

pub(super) async fn metadata(
    State(state): State<PromState>,
    params: Params,
) -> Result<Reply<Vec<TargetMetadata>>, PromError> {
    let limit = match params.limit("limit")? {
        0 => usize::MAX,
        limit => limit,
    };
    let matchers = match params.text("match_target") {
        "" => Vec::new(),
        text => series_selector(text).map_err(|error| PromError::of_query("match_target", &error))?,
    };
    let metric = Some(params.text("metric")).filter(|metric| !metric.is_empty());
    let wanted = |labels: &wire::Labels| {
        matchers.is_empty() || all_accept(&matchers, &Labels::new(labels.iter().map(|(n, v)| (n.as_str(), v.as_str()))))
    };
    let found = state.api.scraping.map_or(Vec::new(), |scraping| scraping.metadata(metric, limit, &wanted));
    Ok(Reply::plain(found))
}
