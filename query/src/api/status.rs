//! `/api/v1/status` and `/api/v1/system`: what runs, how far it is, and every refusal by reason.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::stats::LabelPairs;
use model::wire::status::{
    DiskStatus, LimitedMetric, MemoryStatus, MetricSeries, QuarantineStatus, Receipt, SeriesStatus, Status,
    TableStatus, WalStatus,
};

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::api::params::Params;

/// Who knows which metrics have the most series: asked for so many of them.
pub type LargestMetrics = dyn Fn(usize) -> Vec<MetricSeries> + Send + Sync;

// How many of them are told.
const LARGEST: usize = 10;

/// `GET /api/v1/status`
pub async fn status(State(state): State<ApiState>, uri: Uri) -> Result<Json<Status>, ApiError> {
    Params::read(&uri, &[])?;
    let store = state.store.clone();
    // The size of the WAL and the free space are asked of the disk.
    let sizes = tokio::task::spawn_blocking(move || store.status()).await;
    let sizes =
        sizes.map_err(|_| ApiError::internal("the store's status cannot be told", "the server's log says why"))?;
    let tables = sizes.tables.into_iter().map(|(table, size)| {
        let size = TableStatus {
            head_rows: size.head_rows,
            head_bytes: size.head_bytes,
            parts: size.parts,
            part_rows: size.part_rows,
            part_bytes: size.part_bytes,
            expired_rows: size.expired_rows,
        };
        (table.as_str().to_owned(), size)
    });
    Ok(Json(Status {
        version: state.server.version.clone(),
        mode: state.server.mode().as_str().to_owned(),
        started: state.server.started.to_string(),
        doors: state.server.doors(),
        ingest_seq: sizes.last_seq,
        durability: state.store.durability().as_str().to_owned(),
        wal: WalStatus { segments: sizes.wal_segments, bytes: sizes.wal_bytes },
        disk: DiskStatus {
            state: sizes.disk.map_or("", |disk| disk.state.as_str()).to_owned(),
            free_bytes: sizes.disk.map_or(0, |disk| disk.free_bytes),
            free_bytes_min: sizes.disk.map_or(0, |disk| disk.free_bytes_min),
        },
        quarantined: QuarantineStatus { parts: sizes.quarantined_parts, rows: sizes.quarantined_rows },
        tables: tables.collect(),
        receipts: receipts(&state.stats.values()),
        series: series(&state.stats.values(), state.largest_metrics.as_deref()),
        memory: memory(&state.stats.values()),
        counters: counters(&state),
    }))
}

type Series = (&'static str, LabelPairs, u64);

// What the families of receipts say, by what their series have in common.
fn receipts(values: &[Series]) -> Vec<Receipt> {
    let mut rows: BTreeMap<[&str; 3], Receipt> = BTreeMap::new();
    for (name, labels, value) in values {
        let Some(family) = name.strip_prefix("sextant_receipts_") else { continue };
        let of = |wanted: &str| labels.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value.as_str());
        let key @ [door, service, signal] = [of("door"), of("service"), of("signal")];
        let row = rows.entry(key).or_insert_with(|| Receipt {
            door: door.to_owned(),
            service: service.to_owned(),
            signal: signal.to_owned(),
            ..Receipt::default()
        });
        let reason = of("reason").to_owned();
        match family {
            "requests_total" => row.requests = *value,
            "accepted_items_total" => row.accepted = *value,
            "folded_items_total" => row.folded = *value,
            "duplicate_items_total" => row.duplicates = *value,
            "rejected_items_total" => drop(row.rejected.insert(reason, *value)),
            "shed_requests_total" => drop(row.shed.insert(reason, *value)),
            "refused_requests_total" => drop(row.refused.insert(reason, *value)),
            _ => {}
        }
    }
    rows.into_values().collect()
}

// What the gate of series counts, and the metrics that it knows to be largest.
fn series(values: &[Series], largest: Option<&LargestMetrics>) -> SeriesStatus {
    let mut status =
        SeriesStatus { largest: largest.map_or(Vec::new(), |largest| largest(LARGEST)), ..SeriesStatus::default() };
    let mut limited: BTreeMap<&str, LimitedMetric> = BTreeMap::new();
    for (name, labels, value) in values {
        match *name {
            "sextant_series_known" => status.known = *value,
            "sextant_series_max" => status.known_max = *value,
            "sextant_series_metrics" => status.metrics = *value,
            "sextant_series_per_metric_max" => status.per_metric_max = *value,
            "sextant_series_limited_points_total" => {
                let [metric, outcome] = ["metric", "outcome"].map(|wanted| {
                    labels.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value.as_str())
                });
                let of = limited.entry(metric).or_default();
                of.metric = metric.to_owned();
                match outcome {
                    "folded" => of.folded = *value,
                    reason => _ = of.rejected.insert(reason.to_owned(), *value),
                }
            }
            _ => {}
        }
    }
    status.limited = limited.into_values().collect();
    status.limited.sort_by_key(|of| std::cmp::Reverse(of.folded + of.rejected.values().sum::<u64>()));
    status
}

fn memory(values: &[Series]) -> MemoryStatus {
    let of = |wanted: &str| values.iter().find(|(name, ..)| *name == wanted).map_or(0, |(.., value)| *value);
    MemoryStatus {
        limit_bytes: of("sextant_memory_limit_bytes"),
        resident_bytes: of("sextant_memory_resident_bytes"),
        in_flight_bytes: of("sextant_ingest_in_flight_bytes"),
    }
}

fn counters(state: &ApiState) -> BTreeMap<String, u64> {
    let series = state.stats.values().into_iter().map(|(name, labels, value)| {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        (format!("{name}{labels}"), value)
    });
    series.collect()
}
