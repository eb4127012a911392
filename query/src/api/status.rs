//! `/api/v1/status` and `/api/v1/system`: what runs, how far it is, and every refusal by reason.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::wire::status::{Status, TableStatus, WalStatus};

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
        tables: tables.collect(),
        counters: counters(&state),
    }))
}

fn counters(state: &ApiState) -> BTreeMap<String, u64> {
    let series = state.stats.values().into_iter().map(|(name, labels, value)| {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        (format!("{name}{labels}"), value)
    });
    series.collect()
}
