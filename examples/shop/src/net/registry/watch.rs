//! What the registry does by itself: once a second it forgets who is silent, and asks everybody else for its health; and it counts whom it knows.

use std::sync::Arc;

use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Meter;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Check, ROUND, Registry};
use crate::config::ServiceName;
use crate::context::Tasks;
use crate::limits::HEALTH_CHECK_MAX;
use crate::net::health::Health;
use crate::net::http::Http;

impl Registry {
    /// Begins its rounds, which last until the service stops, and its gauge.
    pub(crate) fn watch(self: &Arc<Self>, meter: &Meter, tasks: &Tasks) {
        self.observe(meter);
        let registry = Arc::clone(self);
        tasks.repeat(ROUND, move || {
            registry.sweep();
            std::future::ready(())
        });
        // Beside it: checks may take their time.
        let (registry, http) = (Arc::clone(self), Http::new());
        tasks.repeat(ROUND, move || {
            let (registry, http) = (Arc::clone(&registry), http.clone());
            async move { registry.check_all(&http).await }
        });
    }

    /// Asks all at once, so that one that does not answer keeps nobody waiting.
    async fn check_all(self: &Arc<Self>, http: &Http) {
        let mut checks = JoinSet::new();
        for check in self.to_check() {
            let (registry, http) = (Arc::clone(self), http.clone());
            checks.spawn(async move {
                let found = ask(&http, &check).await;
                registry.checked(&check, found);
            });
        }
        checks.join_all().await;
    }

    fn to_check(&self) -> Vec<Check> {
        let check = |((service, instance), entry): (&(ServiceName, String), &super::Entry)| Check {
            service: *service,
            instance: instance.clone(),
            address: entry.told.address,
        };
        self.lock().iter().map(check).collect()
    }

    fn observe(self: &Arc<Self>, meter: &Meter) {
        let this = Arc::downgrade(self);
        let gauge = meter.u64_observable_gauge("shop.registry.instances").with_unit("{instance}");
        gauge
            .with_description("The instances that the registry knows")
            .with_callback(move |gauge| {
                let Some(this) = this.upgrade() else { return };
                for service in ServiceName::ALL {
                    let listed = this.list(service);
                    // A service that has lost its last instance has none, which is worth more than saying nothing; customers and the gateway itself do not register.
                    if matches!(service, ServiceName::Gateway | ServiceName::Loadgen) {
                        continue;
                    }
                    for health in Health::ALL {
                        let count = listed.iter().filter(|listed| listed.health == health).count();
                        let attributes = [
                            KeyValue::new("shop.backend.service", service.as_str()),
                            KeyValue::new("shop.instance.state", health.as_str()),
                        ];
                        gauge.observe(count as u64, &attributes);
                    }
                }
            })
            .build();
    }
}

/// Why it is not healthy.
async fn ask(http: &Http, check: &Check) -> Result<(), String> {
    let request = Request::get(format!("http://{}/healthz", check.address)).body(Full::<Bytes>::default());
    let request = request.map_err(|error| error.to_string())?;
    match timeout(HEALTH_CHECK_MAX, http.send(request)).await {
        Ok(Ok(reply)) if reply.status.is_success() => Ok(()),
        Ok(Ok(reply)) => Err(format!("/healthz answered {}", reply.status)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("/healthz did not answer within {HEALTH_CHECK_MAX:?}")),
    }
}
