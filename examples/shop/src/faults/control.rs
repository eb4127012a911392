//! What shall be broken in the whole shop, kept by the gateway: started and stopped over HTTP, for so long or until told otherwise, in all instances of a service or in one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Fault, FaultKind};
use crate::config::ServiceName;
use crate::limits::FAULT_MAX;

/// A fault to be started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) fault: Fault,
    /// The instance, for those that break one; whichever is last by name otherwise.
    #[serde(default)]
    pub(crate) instance: Option<String>,
    /// It stops by itself after so many seconds.
    #[serde(default)]
    pub(crate) seconds: Option<f64>,
}

/// A fault that is active somewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) fault: Fault,
    pub(crate) effect: String,
    /// The services that it breaks.
    pub(crate) services: Vec<String>,
    /// The one instance that it breaks, once one is there.
    pub(crate) instance: Option<String>,
    /// How long it has been there, and how long it will be yet.
    pub(crate) since_s: f64,
    pub(crate) left_s: f64,
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    instance: Option<String>,
    since: Instant,
    until: Instant,
}

/// The shop's faults.
#[derive(Debug, Default)]
pub(crate) struct Control(Mutex<BTreeMap<FaultKind, Active>>);

impl Control {
    /// Starts a fault, or changes how much of it there is.
    pub(crate) fn start(&self, start: Start) {
        let now = Instant::now();
        let longest = FAULT_MAX.as_secs_f64();
        let seconds = start.seconds.filter(|seconds| (0.0..longest).contains(seconds)).unwrap_or(longest);
        let until = now + Duration::from_secs_f64(seconds);
        let kind = start.fault.kind();
        let instance = start.instance.filter(|_| kind.is_of_one_instance());
        self.lock().insert(kind, Active { fault: start.fault, instance, since: now, until });
    }

    /// Whether it was active.
    pub(crate) fn stop(&self, kind: FaultKind) -> bool {
        self.lock().remove(&kind).is_some()
    }

    /// What is for this instance. `known` are those of its service, and it itself: the last of them has what is for one, and keeps it though it may go and come back.
    pub(crate) fn of<'a>(
        &self,
        service: ServiceName,
        instance: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Vec<Fault> {
        let mut active = self.lock();
        let last = known.max();
        let of_service = active.values_mut().filter(|fault| fault.fault.kind().services().contains(&service));
        let of_instance = of_service.filter_map(|active| {
            if !active.fault.kind().is_of_one_instance() {
                return Some(active.fault);
            }
            if active.instance.is_none() {
                active.instance = last.map(str::to_owned);
            }
            (active.instance.as_deref() == Some(instance)).then_some(active.fault)
        });
        of_instance.collect()
    }

    fn list(&self) -> Vec<Started> {
        let now = Instant::now();
        let started = |active: &Active| Started {
            fault: active.fault,
            effect: active.fault.kind().effect().to_owned(),
            services: active.fault.kind().services().iter().map(ToString::to_string).collect(),
            instance: active.instance.clone(),
            since_s: now.duration_since(active.since).as_secs_f64(),
            left_s: active.until.duration_since(now).as_secs_f64(),
        };
        self.lock().values().map(started).collect()
    }

    // Those that are over are gone whenever somebody looks.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<FaultKind, Active>> {
        // Nothing panics half-way through a change.
        let mut active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        active.retain(|_, fault| fault.until > now);
        active
    }
}

/// `GET /faults`, `POST /faults`, `DELETE /faults/NAME`.
pub(crate) fn routes(control: Arc<Control>) -> Router {
    Router::new()
        .route("/faults", get(list).post(start))
        .route("/faults/{name}", axum::routing::delete(stop))
        .with_state(control)
}

async fn list(State(control): State<Arc<Control>>) -> Json<Vec<Started>> {
    Json(control.list())
}

async fn start(State(control): State<Arc<Control>>, body: String) -> Response {
    // Read here, so that what is wrong with it is said in words that a person can use.
    let start: Start = match serde_json::from_str(&body) {
        Ok(start) => start,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    tracing::warn!(name: "fault.asked_for", { shop.fault = %start.fault }, "a fault on purpose was asked for");
    control.start(start);
    (StatusCode::CREATED, Json(control.list())).into_response()
}

async fn stop(State(control): State<Arc<Control>>, Path(name): Path<String>) -> Response {
    let kind = match name.parse::<Fault>() {
        Ok(fault) => fault.kind(),
        Err(error) => return (StatusCode::NOT_FOUND, error.to_string()).into_response(),
    };
    if control.stop(kind) {
        tracing::info!(name: "fault.called_off", { shop.fault = %kind }, "a fault on purpose was called off");
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::NOT_FOUND, format!("{kind} is not active")).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(fault: &str, seconds: Option<f64>) -> Start {
        Start { fault: fault.parse().expect("a fault"), instance: None, seconds }
    }

    fn of(control: &Control, service: ServiceName, instance: &str, known: &[&str]) -> Vec<String> {
        control.of(service, instance, known.iter().copied()).iter().map(ToString::to_string).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_reaches_its_service_and_ends_by_itself() {
        let control = Control::default();
        control.start(start("payments-error:30%", Some(10.0)));
        assert_eq!(of(&control, ServiceName::Payments, "payments-1", &[]), ["payments-error:30%"]);
        assert!(of(&control, ServiceName::Orders, "orders-1", &[]).is_empty());
        control.start(start("payments-error:60%", Some(10.0)));
        assert_eq!(of(&control, ServiceName::Payments, "payments-1", &[]), ["payments-error:60%"]);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(of(&control, ServiceName::Payments, "payments-1", &[]).is_empty());
        assert!(!control.stop(FaultKind::PaymentsError), "it has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_one_instance_stays_with_it() {
        let control = Control::default();
        control.start(start("instance-crash", None));
        let known = ["orders-1", "orders-2", "orders-3"];
        assert!(of(&control, ServiceName::Orders, "orders-1", &known).is_empty());
        assert_eq!(of(&control, ServiceName::Orders, "orders-3", &known), ["instance-crash:5s"]);
        assert!(of(&control, ServiceName::Orders, "orders-2", &known[..2]).is_empty(), "the third is away");
        assert!(control.stop(FaultKind::InstanceCrash));
    }
}
