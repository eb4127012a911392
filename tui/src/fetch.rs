//! Questions to the server: each [`Ask`] becomes a request of the one client, each answer a [`Reply`] or a [`Trouble`].

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use model::wire::Page;
use model::wire::prom;
use model::{TimeRange, Timestamp};

use crate::client::{Client, ClientError, Params, Row, RowsRequest, segment};
use crate::dashboard::shelf::Shelf;
use crate::effect::{Ask, Buckets, Names, Reply, Rows, Trouble, TroubleKind};
use crate::sanitize::Safe;

/// Who is asked: the server, and for boards the directory they lie in.
#[derive(Clone, Debug)]
pub struct Sources {
    client: Client,
    shelf: Arc<Mutex<Shelf>>,
}

impl Sources {
    /// The server behind `client`, and boards from `dashboards` besides those that are compiled in.
    pub fn new(client: Client, dashboards: Option<PathBuf>) -> Self {
        Self { client, shelf: Arc::new(Mutex::new(Shelf::new(dashboards))) }
    }

    /// The server's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    // Files are read where waiting for a disk holds up nobody.
    async fn boards(&self) -> Result<Reply, Trouble> {
        let shelf = Arc::clone(&self.shelf);
        let read = tokio::task::spawn_blocking(move || {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            shelf.refresh();
            shelf.boards()
        });
        read.await.map(Reply::Boards).map_err(|error| Trouble::new(TroubleKind::Garbled, error))
    }
}

impl From<Client> for Sources {
    fn from(client: Client) -> Self {
        Self::new(client, None)
    }
}

impl From<&Client> for Sources {
    fn from(client: &Client) -> Self {
        Self::new(client.clone(), None)
    }
}

/// Asks, and waits for the answer.
pub async fn fetch(sources: &Sources, ask: &Ask) -> Result<Reply, Trouble> {
    if *ask == Ask::Boards {
        return sources.boards().await;
    }
    match ask_client(&sources.client, ask).await {
        Ok(reply) => reply,
        Err(error) => Err(Trouble::of(ask, &error)),
    }
}

async fn ask_client(client: &Client, ask: &Ask) -> Result<Result<Reply, Trouble>, ClientError> {
    Ok(Ok(match ask {
        Ask::Status => Reply::Status(Box::new(client.status().await?)),
        Ask::Services { range, steps } => {
            let (start, end) = moments(*range);
            Reply::Services(client.services(&start, &end, *steps).await?)
        }
        Ask::Alerts => return Ok(data(client.alerts().await?).map(Reply::Alerts)),
        Ask::Rules => return Ok(data(client.rules().await?).map(Reply::Rules)),
        Ask::Notifications => Reply::Notifications(client.notifications().await?),
        Ask::Logs(rows) => Reply::Logs(page(client, rows).await?),
        Ask::Spans(rows) => Reply::Spans(page(client, rows).await?),
        Ask::LogHistogram(of) => Reply::Histogram(histogram(client, "/api/v1/logs/histogram", of).await?),
        Ask::SpanHistogram(of) => Reply::Histogram(histogram(client, "/api/v1/spans/histogram", of).await?),
        Ask::Trace { id } => Reply::Trace(Box::new(client.trace(id).await?)),
        Ask::Correlate { id } => Reply::Correlation(Box::new(client.correlate(id).await?)),
        Ask::Query { expression, at } => {
            return Ok(data(client.query(expression, Some(&at.to_string())).await?).map(Reply::Query));
        }
        Ask::QueryRange { expression, range, step_ns } => {
            let (start, end) = moments(*range);
            let step = format!("{}ms", (step_ns / 1_000_000).max(1));
            return Ok(data(client.query_range(expression, &start, &end, &step).await?).map(Reply::Query));
        }
        Ask::ValuesOf { label, selector, range } => {
            let (start, end) = moments(*range);
            let path = format!("/api/v1/label/{}/values", segment(label));
            let params = Params::new().with_some("match[]", selector.as_deref()).with("start", start).with("end", end);
            return Ok(data(client.get(&path, &params).await?).map(Reply::Values));
        }
        Ask::LabelNames { selector } => {
            let params = Params::new().with("match[]", selector.as_str());
            return Ok(data(client.get("/api/v1/labels", &params).await?).map(Reply::Values));
        }
        Ask::Metadata => {
            let answer = client.get("/api/v1/metadata", &Params::new()).await?;
            return Ok(data(answer).map(Names).map(Reply::Names));
        }
        Ask::Boards => return Ok(Err(Trouble::new(TroubleKind::Garbled, "a server has no boards"))),
        Ask::LabelValues { label } => return Ok(data(client.label_values(label).await?).map(Reply::Values)),
    }))
}

// The data of Prometheus's envelope.
fn data<D>(response: prom::Response<D>) -> Result<D, Trouble> {
    match response.data {
        Some(data) => Ok(data),
        None => Err(Trouble {
            kind: TroubleKind::Refused,
            sentence: Safe::line(response.error.as_deref().unwrap_or("the answer is empty")),
            hint: None,
            position: None,
        }),
    }
}

async fn page<R: Row>(client: &Client, rows: &Rows) -> Result<Page<R>, ClientError> {
    let (start, end) = moments(rows.range);
    let request = RowsRequest {
        query: rows.query.clone(),
        start: Some(start),
        end: Some(end),
        limit: Some(rows.limit.to_string()),
        ascending: rows.ascending,
        cursor: rows.cursor.clone(),
    };
    let (rows, meta) = client.rows::<R>(&request).await?.collect().await?;
    Ok(Page { rows, meta })
}

async fn histogram(
    client: &Client,
    path: &'static str,
    of: &Buckets,
) -> Result<model::wire::counts::Histogram, ClientError> {
    let (start, end) = moments(of.range);
    client.histogram(path, &of.query, &start, &end, of.buckets).await
}

fn moments(range: TimeRange) -> (String, String) {
    // Before 1970 there is no telemetry, and no server's parser has to read such years.
    let start = range.start.max(Timestamp::from_nanos(0));
    (start.to_string(), range.end.to_string())
}
