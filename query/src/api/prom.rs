//! Prometheus's HTTP API under its own paths, to the letter: its parameters, its envelopes, its error types and codes.
//!
//! Not Sextant's own style of answers: those are the other files of `api/`.

mod answer;
mod exemplars;
mod expression;
mod labels;
mod params;
mod query;
mod status;
mod targets;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub(super) use self::answer::{PromError, Reply};
pub(super) use self::params::Params;
pub use self::targets::{MaybeScraping, Scraping};
use crate::admission::Cancel;
use crate::api::ApiState;
use crate::promql::{StoreSource, Translator};

/// What Prometheus's paths work with.
#[derive(Clone)]
struct PromState {
    api: ApiState,
    translator: Arc<Translator>,
}

/// Prometheus's paths. They carry their own state, so that they fit into any router.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(api: &ApiState) -> Router<S> {
    let state = PromState { api: api.clone(), translator: Arc::clone(&api.translator) };
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/query_exemplars", get(exemplars::query_exemplars).post(exemplars::query_exemplars))
        .route("/api/v1/format_query", get(expression::format_query).post(expression::format_query))
        .route("/api/v1/parse_query", get(expression::parse_query).post(expression::parse_query))
        .route("/api/v1/series", get(labels::series).post(labels::series))
        .route("/api/v1/labels", get(labels::names).post(labels::names))
        .route("/api/v1/label/{name}/values", get(labels::values))
        .route("/api/v1/metadata", get(labels::metadata))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/targets/metadata", get(targets::metadata))
        .route("/api/v1/scrape_pools", get(targets::scrape_pools))
        .route("/api/v1/status/buildinfo", get(query::build_info))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/runtimeinfo", get(status::runtime_info))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .with_state(state)
}

impl PromState {
    // Runs `work` over the newest snapshot where blocking is allowed.
    async fn run<D, F>(&self, work: F) -> Result<Reply<D>, PromError>
    where
        D: Send + 'static,
        F: FnOnce(&StoreSource, &Cancel) -> Result<Reply<D>, PromError> + Send + 'static,
    {
        let (store, translator) = (self.api.store.clone(), Arc::clone(&self.translator));
        let done = self.api.admission.run(move |cancel| work(&StoreSource::new(store.snapshot(), translator), cancel));
        done.await.map_err(|refused| PromError::unavailable(refused.to_string()))?
    }
}
