//! What a caller measures of its callees: counters where something happens, and gauges that look at what lives when the reader collects.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::{Counter, Meter};

use super::backend::Backend;
use super::breaker::{Breaker, State};
use super::health::Health;

/// The counters.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    pub(crate) requests: Counter<u64>,
    pub(crate) choices: Counter<u64>,
    pub(crate) transitions: Counter<u64>,
    pub(crate) rejections: Counter<u64>,
    pub(crate) retries: Counter<u64>,
}

/// What is looked at.
#[derive(Debug)]
pub(crate) struct Signals {
    pub(crate) instruments: Instruments,
    backends: Watched<Backend>,
    breakers: Watched<Breaker>,
}

/// Everything of a kind that lives.
#[derive(Debug)]
struct Watched<T>(Mutex<Vec<Weak<T>>>);

impl<T> Watched<T> {
    fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn add(&self, item: &Arc<T>) {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        items.retain(|item| item.strong_count() > 0);
        items.push(Arc::downgrade(item));
    }

    fn all(&self) -> Vec<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }
}

impl Signals {
    pub(crate) fn new(meter: &Meter) -> Arc<Self> {
        let counter =
            |name, unit, description| meter.u64_counter(name).with_unit(unit).with_description(description).build();
        let instruments = Instruments {
            requests: counter(
                "shop.backend.requests",
                "{request}",
                "Tries of requests to an instance, by their outcome",
            ),
            choices: counter("shop.backend.choices", "{choice}", "How often the balancer chose an instance"),
            transitions: counter("shop.breaker.transitions", "{transition}", "Changes of a breaker's state"),
            rejections: counter("shop.breaker.rejections", "{request}", "Requests that open breakers kept back"),
            retries: counter("shop.retries", "{retry}", "Requests that were tried again"),
        };
        let signals = Arc::new(Self { instruments, backends: Watched::new(), breakers: Watched::new() });
        signals.observe(meter);
        signals
    }

    /// Looks at an instance for as long as it lives, and at its breaker.
    pub(crate) fn watch_backend(&self, backend: &Arc<Backend>) {
        self.backends.add(backend);
        self.breakers.add(backend.breaker());
    }

    /// Looks at a breaker for as long as it lives.
    pub(crate) fn watch_breaker(&self, breaker: &Arc<Breaker>) {
        self.breakers.add(breaker);
    }

    /// An instance was chosen.
    pub(crate) fn count_choice(&self, backend: &Backend, algorithm: &'static str) {
        let [service, instance] = backend.attributes().clone();
        self.instruments.choices.add(1, &[service, instance, KeyValue::new("shop.balance.algorithm", algorithm)]);
    }

    /// A try ended so.
    pub(crate) fn count_request(&self, backend: &Backend, outcome: &'static str) {
        let [service, instance] = backend.attributes().clone();
        self.instruments.requests.add(1, &[service, instance, KeyValue::new("shop.outcome", outcome)]);
    }

    fn observe(self: &Arc<Self>, meter: &Meter) {
        for (name, unit, description, read) in [
            (
                "shop.backend.active_requests",
                "{request}",
                "Requests of this caller under way at an instance",
                (|backend| Some(backend.active() as f64)) as fn(&Backend) -> Option<f64>,
            ),
            ("shop.backend.healthy", "", "Whether an instance is healthy", |backend| {
                Some(f64::from(u8::from(backend.told().health == Health::Up)))
            }),
            (
                "shop.backend.response_time",
                "s",
                "How long an instance took lately, as its caller's moving average has it",
                |backend| backend.response_s(),
            ),
        ] {
            let this = Arc::downgrade(self);
            let gauge = meter.f64_observable_gauge(name).with_unit(unit).with_description(description);
            gauge
                .with_callback(move |gauge| {
                    let backends = this.upgrade().map(|this| this.backends.all()).unwrap_or_default();
                    for backend in backends {
                        if let Some(value) = read(&backend) {
                            gauge.observe(value, backend.attributes());
                        }
                    }
                })
                .build();
        }
        let this = Arc::downgrade(self);
        // Without a unit: a gauge with the unit 1 would be a ratio to Prometheus, by name too.
        let gauge = meter.u64_observable_gauge("shop.breaker.state");
        gauge
            .with_description("1 for the state in which a breaker is, 0 for the others")
            .with_callback(move |gauge| {
                let breakers = this.upgrade().map(|this| this.breakers.all()).unwrap_or_default();
                for breaker in breakers {
                    let [service, instance] = breaker.attributes();
                    let now = breaker.state();
                    for state in State::ALL {
                        let named = KeyValue::new("shop.breaker.state", state.as_str());
                        gauge.observe(u64::from(state == now), &[service.clone(), instance.clone(), named]);
                    }
                }
            })
            .build();
    }
}
