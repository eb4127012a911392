//! Instances and callers together, over real connections: who registers is found and called, breaks when told to, and is called no more when it has left.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::any;
use sextant_sdk::metrics::meter;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::config::{Components, ServiceConfig, ServiceName};
use crate::context::{Context, Tasks};
use crate::faults::{Fault, FaultKind, Faults, control};
use crate::limits::{CALL_MAX, TRY_MAX};

/// A server, with its end in its own hands.
struct Served {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn at(address: SocketAddr, router: Router) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (end, ended) = oneshot::channel();
        let shutdown = async move {
            let _ = ended.await;
        };
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(shutdown).await.expect("it serves");
        });
        Self { address, end: Some(end), serving }
    }

    async fn any(router: Router) -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router).await
    }

    async fn end(mut self) {
        drop(self.end.take());
        self.serving.await.expect("it ends");
    }
}

fn registry(faults: &Arc<control::Control>) -> Router {
    registry::routes(Arc::new(Registry::new(Arc::clone(faults))))
}

fn context(name: ServiceName, registry: SocketAddr) -> Context {
    let mut config = ServiceConfig::new(name, Components::default());
    let url = format!("http://{registry}");
    let tasks = Tasks::new();
    let peers = Peers::of(Some(&url), Algorithm::RoundRobin, &tasks).expect("a URL");
    config.registry = Some(url);
    let (config, faults) = (Arc::new(config), Arc::new(Faults::none()));
    Context { config, faults, meter: meter("test"), peers, tasks }
}

async fn get(peer: &Peer) -> Result<Answer, CallError> {
    peer.call(Method::GET, "/thing", "/thing", &()).await
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come to be");
}

#[tokio::test]
async fn who_registers_is_found_told_of_faults_and_left_alone_after_its_farewell() {
    let faults = Arc::new(control::Control::default());
    let registry = Served::any(registry(&faults)).await;
    let payments = context(ServiceName::Payments, registry.address);
    let caller = context(ServiceName::Orders, registry.address);
    let peer = caller.peers.to(ServiceName::Payments);
    assert_eq!(get(&peer).await.err(), Some(CallError::NoInstance(ServiceName::Payments)));

    let under_way = UnderWay::default();
    let instance = Served::any(under_way.counted(Router::new().route("/thing", any(async || "42")))).await;
    let registration = Registration::begin(&payments, instance.address, under_way);
    until(async || get(&peer).await.is_ok()).await;
    let answer = get(&peer).await.expect("an answer");
    assert_eq!((answer.status, answer.instance.as_str()), (StatusCode::OK, "payments-1"));
    assert_eq!(answer.json::<u32>().expect("a number"), 42);

    let fault = Fault::new(FaultKind::PaymentsError);
    faults.start(control::Start { fault, instance: None, seconds: None });
    until(async || payments.faults.amount(FaultKind::PaymentsError).is_some()).await;
    faults.stop(FaultKind::PaymentsError);
    until(async || payments.faults.amount(FaultKind::PaymentsError).is_none()).await;

    registration.leave().await;
    let after = get(&peer).await.err();
    assert_eq!(after, Some(CallError::NoInstance(ServiceName::Payments)), "its callers know before it ends");
    for tasks in [payments.tasks, caller.tasks] {
        tasks.stop(Duration::from_secs(2)).await;
    }
}

#[tokio::test]
async fn callers_go_on_while_the_registry_is_away_and_when_it_has_forgotten_everybody() {
    let faults = Arc::new(control::Control::default());
    let first = Served::any(registry(&faults)).await;
    let address = first.address;
    let (payments, caller) = (context(ServiceName::Payments, address), context(ServiceName::Orders, address));
    let instance = Served::any(Router::new().route("/thing", any(async || "42"))).await;
    let _registration = Registration::begin(&payments, instance.address, UnderWay::default());
    let peer = caller.peers.to(ServiceName::Payments);
    until(async || get(&peer).await.is_ok()).await;
    first.end().await;
    let called = AtomicUsize::new(0);
    let calls = async |long: Duration| {
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < long {
            get(&peer).await.expect("an answer");
            called.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    calls(Duration::from_millis(1_500)).await;
    let _second = Served::at(address, registry(&faults)).await;
    calls(Duration::from_millis(2_500)).await;
    assert!(called.into_inner() > 50);
    for tasks in [payments.tasks, caller.tasks] {
        tasks.stop(Duration::from_secs(2)).await;
    }
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_given_up_and_a_call_has_an_end() {
    let faults = Arc::new(control::Control::default());
    let registry = Served::any(registry(&faults)).await;
    let (payments, caller) =
        (context(ServiceName::Payments, registry.address), context(ServiceName::Orders, registry.address));
    let asked = Arc::new(AtomicUsize::new(0));
    let hangs = {
        let asked = Arc::clone(&asked);
        any(async move || {
            asked.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        })
    };
    let instance = Served::any(Router::new().route("/thing", hangs)).await;
    let _registration = Registration::begin(&payments, instance.address, UnderWay::default());
    let peer = caller.peers.to(ServiceName::Payments);
    until(async || {
        let url = format!("http://{}/registry/payments", registry.address);
        let request = axum::http::Request::get(url).body(Default::default()).expect("a request");
        http::Http::new().send(request).await.is_ok_and(|reply| reply.body.len() > 2)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let begun = tokio::time::Instant::now();
    let (once, again) = tokio::join!(peer.call(Method::POST, "/thing", "/thing", &1), get(&peer));
    assert!(
        begun.elapsed() >= TRY_MAX && begun.elapsed() < TRY_MAX * 2,
        "the second try has what is left of {CALL_MAX:?}: {:?}",
        begun.elapsed()
    );
    assert!(matches!(once, Err(CallError::Timeout { after: TRY_MAX, .. })), "{once:?}");
    assert!(matches!(again, Err(CallError::Timeout { .. })), "{again:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 3, "only what does no harm twice is asked twice");
    for tasks in [payments.tasks, caller.tasks] {
        tasks.stop(Duration::from_secs(2)).await;
    }
}
