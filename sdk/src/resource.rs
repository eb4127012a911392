//! Who a service is: its name and what it says of itself, the process, the host; and over all that what the environment says.

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, ResourceDetector, TelemetryResourceDetector};
use prost::Message;

use crate::export::encode;
use crate::redact::{HIDDEN, Redaction, Verdict};

/// The resource of this process. `service_name` and `OTEL_RESOURCE_ATTRIBUTES` are what the environment says; empty texts count as said by nobody.
pub(crate) fn resource(
    service: &str,
    own: &[KeyValue],
    service_name: Option<String>,
    redaction: &Redaction,
) -> Resource {
    let mut attributes = vec![
        KeyValue::new("service.name", service.to_owned()),
        KeyValue::new("service.instance.id", instance_id(fastrand::u128(..))),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("telemetry.distro.name", "sextant-sdk"),
        KeyValue::new("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
    ];
    if let Some(program) = std::env::current_exe().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned())) {
        attributes.push(KeyValue::new("process.executable.name", program));
    }
    if let Some(host) = host_name() {
        attributes.push(KeyValue::new("host.name", host));
    }
    attributes.extend(own.iter().cloned());
    attributes.extend(
        EnvResourceDetector::new().detect().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())),
    );
    for attribute in &mut attributes {
        if redaction.verdict(attribute.key.as_str()) == Verdict::Hide {
            attribute.value = HIDDEN.into();
        }
    }
    let builder = Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector));
    let builder = builder.with_attributes(attributes);
    match service_name {
        Some(name) => builder.with_service_name(name).build(),
        None => builder.build(),
    }
}

/// The resource as the first field of a `ResourceSpans` and its like.
pub(crate) fn encoded(resource: &Resource) -> Vec<u8> {
    let mut out = Vec::new();
    encode::bytes(&mut out, 1, &ProtoResource::from(resource).encode_to_vec());
    out
}

fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    (!name.is_empty()).then_some(name)
}

/// A random (version 4) UUID, as the conventions ask of `service.instance.id`.
fn instance_id(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;

    use super::*;

    #[test]
    fn an_instance_id_is_a_random_uuid() {
        assert_eq!(instance_id(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(instance_id(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn the_programs_words_win_over_ours_and_the_environments_over_the_programs() {
        let own = [
            KeyValue::new("service.instance.id", "one"),
            KeyValue::new("service.version", "2"),
            KeyValue::new("deploy.token", "hunter2"),
        ];
        let redaction = Redaction::default();
        let said = |resource: &Resource, key: &'static str| resource.get(&Key::new(key)).map(|value| value.to_string());
        let plain = resource("orders", &own, None, &redaction);
        assert_eq!(said(&plain, "service.name").as_deref(), Some("orders"));
        assert_eq!(said(&plain, "service.instance.id").as_deref(), Some("one"));
        assert_eq!(said(&plain, "service.version").as_deref(), Some("2"));
        assert_eq!(said(&plain, "deploy.token").as_deref(), Some(HIDDEN));
        assert_eq!(said(&plain, "telemetry.sdk.language").as_deref(), Some("rust"));
        assert_eq!(
            said(&resource("orders", &own, Some("billing".to_owned()), &redaction), "service.name").as_deref(),
            Some("billing")
        );
    }
}
