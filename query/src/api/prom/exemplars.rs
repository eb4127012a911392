//! `query_exemplars`: the exemplars of the series that an expression selects.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use model::wire::prom::{ExemplarSeries, WireExemplar};

use super::answer::{number_text, wire_labels};
use super::{Params, PromError, PromState, Reply};
use crate::admission::Cancel;
use crate::promql::{Budget, StoreSource, StoredExemplar, limits, selectors};

pub(super) async fn query_exemplars(
    State(state): State<PromState>,
    params: Params,
) -> Result<Reply<Vec<ExemplarSeries>>, PromError> {
    let range = params.range()?;
    if range.last < range.first {
        return Err(PromError::bad_data("end timestamp must not be before start timestamp"));
    }
    let selectors = selectors(params.text("query")).map_err(|error| PromError::of_query("query", &error))?;
    let api = state.api.clone();
    let run = move |source: &StoreSource, cancel: &Cancel| {
        let timeout = Duration::from_millis(api.config.time_budget_ms);
        let budget = Budget::new(limits::SAMPLES_MAX, timeout, Arc::clone(&api.clock), cancel.clone());
        let found = source.exemplars(&selectors, range, &budget);
        let found = found.map_err(|error| PromError::of_query("query", &error))?;
        let series = found.into_iter().map(|(labels, exemplars)| ExemplarSeries {
            series_labels: wire_labels(&labels),
            exemplars: exemplars.iter().map(wire).collect(),
        });
        Ok(Reply::plain(series.collect()))
    };
    state.run(run).await
}

fn wire(exemplar: &StoredExemplar) -> WireExemplar {
    WireExemplar {
        labels: wire_labels(&exemplar.labels),
        value: number_text(exemplar.value),
        timestamp: exemplar.millis as f64 / 1000.0,
    }
}
