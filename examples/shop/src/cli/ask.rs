//! Questions to the gateway's internal door.

use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::limits::BODY_BYTES_MAX;

/// It is on this machine, or near.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The answer's body; one that is not of success is an error with its words.
pub(super) async fn ask(method: Method, shop: &str, path: &str, body: String) -> anyhow::Result<Bytes> {
    let base = if shop.contains("://") { shop.to_owned() } else { format!("http://{shop}") };
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let request = Request::builder().method(method).uri(&url).header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body))).with_context(|| format!("`{shop}` is no address"))?;
    let exchange = async {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.with_context(|| {
            format!("no shop answers at {shop}: `sextant demo` and `shop run` say where theirs is, and --shop takes it")
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed).context("half an answer")?;
        anyhow::Ok((status, body.to_bytes()))
    };
    let (status, body): (StatusCode, Bytes) = match tokio::time::timeout(ANSWER_MAX, exchange).await {
        Ok(answer) => answer?,
        Err(_) => bail!("{url} did not answer within {ANSWER_MAX:?}"),
    };
    if !status.is_success() {
        let said = String::from_utf8_lossy(&body);
        bail!("{}", if said.is_empty() { status.to_string() } else { said.into_owned() });
    }
    Ok(body)
}
