//! `/api/v1/status` and `/api/v1/system`: what runs, how far it is, and every refusal by reason.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::stats::LabelPairs;
use model::wire::status::{DiskStatus, MemoryStatus, QuarantineStatus, Receipt, Status, TableStatus, WalStatus};

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::api::params::Params;

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
            "duplicate_items_total" => row.duplicates = *value,
            "rejected_items_total" => drop(row.rejected.insert(reason, *value)),
            "shed_requests_total" => drop(row.shed.insert(reason, *value)),
            "refused_requests_total" => drop(row.refused.insert(reason, *value)),
            _ => {}
        }
    }
    rows.into_values().collect()
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
