//! An instance's membership: a heartbeat each second that brings back what shall break, and a farewell. The gateway may be away: the instance goes on and is known again when it is back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::http::Http;
use super::instance::{Heard, Heartbeat};
use super::load::{Meter, UnderWay};
use crate::context::Context;
use crate::faults::Fault;
use crate::limits::{FAREWELL_PAUSE, HEARTBEAT_MAX};

/// Between two heartbeats.
const PAUSE: Duration = Duration::from_secs(1);

/// An instance that others find.
#[derive(Debug)]
pub(crate) struct Registration {
    membership: Arc<Membership>,
    left: watch::Sender<bool>,
    /// Closed when the last heartbeat has been answered.
    beaten: oneshot::Receiver<()>,
}

#[derive(Debug)]
struct Membership {
    http: Http,
    url: String,
}

impl Registration {
    /// Tells the registry of this instance at `address` every second until [`Registration::leave`], and gives the faults that come back to `context.faults`. An address of all
    /// interfaces is told as this machine's.
    pub(crate) fn begin(context: &Context, address: SocketAddr, under_way: UnderWay) -> Self {
        let config = &context.config;
        let base = config.registry.as_deref().unwrap_or_default().trim_end_matches('/');
        let url = format!("{base}/registry/{}/{}", config.name, config.instance());
        let membership = Arc::new(Membership { http: Http::new(), url });
        let (left, leaving) = watch::channel(false);
        let (last, beaten) = oneshot::channel();
        let mut told = Heartbeat {
            address: reachable(address),
            version: config.version.clone(),
            weight: config.weight,
            load: Default::default(),
        };
        let (beating, faults, tasks) = (Arc::clone(&membership), Arc::clone(&context.faults), context.tasks.clone());
        context.tasks.spawn(async move {
            let _last: oneshot::Sender<()> = last;
            let mut meter = Meter::new(under_way);
            let mut lost = false;
            let mut leaving = leaving;
            while !*leaving.borrow_and_update() && !tasks.is_stopping() {
                told.load = meter.read();
                match beating.beat(&told).await {
                    Ok(active) => {
                        faults.set(active);
                        if std::mem::take(&mut lost) {
                            tracing::info!(name: "registry.back", { url.full = beating.url }, "the registry is back");
                        }
                    }
                    // A line when it is lost, and not one each second.
                    Err(error) if !std::mem::replace(&mut lost, true) => tracing::warn!(
                        name: "registry.lost",
                        { url.full = beating.url, error = format!("{error:#}") },
                        "the registry does not answer: the faults and the others stay as they were"
                    ),
                    Err(_) => {}
                }
                tokio::select! {
                    _ = leaving.changed() => {}
                    () = tasks.pause(PAUSE) => {}
                }
            }
        });
        Self { membership, left, beaten }
    }

    /// Says that it goes, and waits until the callers have heard that, so that nobody chooses it any more when it closes.
    pub(crate) async fn leave(self) {
        // A heartbeat after the farewell would be a return.
        self.left.send_replace(true);
        let _ = timeout(HEARTBEAT_MAX, self.beaten).await;
        match self.membership.farewell().await {
            Ok(()) => tokio::time::sleep(FAREWELL_PAUSE).await,
            Err(error) => tracing::debug!(error = format!("{error:#}"), "no farewell: the registry is away itself"),
        }
    }
}

/// Where others find what listens at this address.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        address => address,
    }
}

impl Membership {
    async fn beat(&self, told: &Heartbeat) -> anyhow::Result<Vec<Fault>> {
        let (status, body) = self.send(Method::PUT, serde_json::to_vec(told)?.into()).await?;
        if status != StatusCode::OK {
            bail!("the registry answered {status}: {}", String::from_utf8_lossy(&body));
        }
        let heard: Heard = serde_json::from_slice(&body).context("the registry's answer makes no sense")?;
        Ok(heard.faults.iter().filter_map(|fault| fault.parse().ok()).collect())
    }

    async fn farewell(&self) -> anyhow::Result<()> {
        let (status, _) = self.send(Method::DELETE, Bytes::new()).await?;
        if status.is_success() { Ok(()) } else { bail!("the registry answered {status}") }
    }

    async fn send(&self, method: Method, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::builder().method(method).uri(&self.url);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Full::from(body))?;
        let reply = timeout(HEARTBEAT_MAX, self.http.send(request)).await.context("no answer in time")??;
        Ok((reply.status, reply.body))
    }
}
