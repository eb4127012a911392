//! The `OTEL_*` variables over what the program says: a pure function of both, which also makes the lines about what cannot be used. A variable that makes no sense is as if
//! it were not there.

use std::str::FromStr;
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry_sdk::metrics::Temporality;

use crate::config::Builder;
use crate::export::Signal;
use crate::export::answer::percent_decoded;
use crate::export::connect::TlsFiles;
use crate::export::queue::Bounds;
use crate::export::transport::{Endpoint, Protocol};
use crate::limits::{BATCH_BYTES, BATCH_DELAY, BATCH_ITEMS, EXPORT_TIMEOUT, METRIC_INTERVAL, QUEUE_BYTES_MAX};
use crate::propagate::Propagators;

/// What is done in the end.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) disabled: bool,
    pub(crate) service_name: Option<String>,
    /// By [`Signal`]; `None` where nothing is sent.
    pub(crate) endpoints: [Option<Endpoint>; 3],
    pub(crate) spans: Bounds,
    pub(crate) logs: Bounds,
    pub(crate) metric_interval: Duration,
    pub(crate) temporality: Temporality,
    pub(crate) propagators: Propagators,
}

/// Reads the variables, which `get` knows. The second part is what people are told, a line each.
pub(crate) fn settings(program: &Builder, get: impl Fn(&str) -> Option<String>) -> (Settings, Vec<String>) {
    let mut reader = Reader { program, get, said: Vec::new() };
    let settings = reader.settings();
    (settings, reader.said)
}

struct Reader<'a, G> {
    program: &'a Builder,
    get: G,
    said: Vec<String>,
}

impl<G: Fn(&str) -> Option<String>> Reader<'_, G> {
    fn settings(&mut self) -> Settings {
        let delay = self.program.batch_delay.unwrap_or(BATCH_DELAY);
        self.check_sampler();
        Settings {
            disabled: self.boolean("OTEL_SDK_DISABLED").unwrap_or(false),
            service_name: self.text("OTEL_SERVICE_NAME"),
            endpoints: Signal::ALL.map(|signal| self.endpoint(signal)),
            spans: self.bounds("BSP", delay),
            logs: self.bounds("BLRP", delay),
            metric_interval: self
                .milliseconds("OTEL_METRIC_EXPORT_INTERVAL")
                .or(self.program.metric_interval)
                .unwrap_or(METRIC_INTERVAL),
            temporality: self.temporality(),
            propagators: self.propagators(),
        }
    }

    /// A variable; an empty one counts as none, as the specification says.
    fn text(&self, name: &str) -> Option<String> {
        let value = (self.get)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// The variable of a signal, or the one of all of them, with its name.
    fn of_signal(&self, signal: Signal, rest: &str) -> Option<(String, String)> {
        [format!("OTEL_EXPORTER_OTLP_{}_{rest}", signal.variable()), format!("OTEL_EXPORTER_OTLP_{rest}")]
            .into_iter()
            .find_map(|name| self.text(&name).map(|value| (name, value)))
    }

    fn complain(&mut self, name: &str, value: &str, instead: &str) {
        let value = crate::export::encode::cut_to(value, 100);
        let line = format!("{name} cannot be {value:?}: {instead}");
        if !self.said.contains(&line) {
            self.said.push(line);
        }
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.text(name)?;
        match value.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.complain(name, &value, "write true or false; it counts as false");
                Some(false)
            }
        }
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let value = self.text(name)?;
        let number = value.parse().ok();
        if number.is_none() {
            self.complain(name, &value, "write a whole number; it is not used");
        }
        number
    }

    fn milliseconds(&mut self, name: &str) -> Option<Duration> {
        let milliseconds = self.number::<u64>(name)?;
        if milliseconds == 0 {
            self.complain(name, "0", "write a number of milliseconds above 0; it is not used");
            return None;
        }
        Some(Duration::from_millis(milliseconds))
    }

    fn count(&mut self, name: &str) -> Option<usize> {
        let count = self.number::<usize>(name)?;
        if count == 0 {
            self.complain(name, "0", "write a number above 0; it is not used");
            return None;
        }
        Some(count)
    }

    fn bounds(&mut self, kind: &str, delay: Duration) -> Bounds {
        let items_max = self.count(&format!("OTEL_{kind}_MAX_QUEUE_SIZE")).unwrap_or(usize::MAX);
        Bounds {
            bytes_max: QUEUE_BYTES_MAX,
            items_max,
            batch_bytes: BATCH_BYTES,
            batch_items: self
                .count(&format!("OTEL_{kind}_MAX_EXPORT_BATCH_SIZE"))
                .unwrap_or(BATCH_ITEMS)
                .min(items_max),
            delay: self.milliseconds(&format!("OTEL_{kind}_SCHEDULE_DELAY")).unwrap_or(delay),
        }
    }

    fn endpoint(&mut self, signal: Signal) -> Option<Endpoint> {
        let exporter = format!("OTEL_{}_EXPORTER", signal.variable());
        match self.text(&exporter).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(other) => self.complain(&exporter, other, "sextant-sdk knows otlp and none; otlp is used"),
        }
        let said = if self.program.fixed { None } else { self.protocol(signal) };
        let (name, url, whole) = self.url(signal);
        let uri = self.uri(&name, &url)?;
        // Who names a port and no protocol means the one that is spoken there.
        let usual = if uri.port_u16() == Some(4317) { Protocol::Grpc } else { Protocol::HttpProtobuf };
        let of_program = self.program.protocol.filter(|_| self.program.fixed || !name.starts_with("OTEL"));
        let protocol = said.or(of_program).unwrap_or(usual);
        let uri = with_path(uri, signal, protocol, whole);
        Some(Endpoint {
            uri,
            protocol,
            headers: self.headers(signal),
            timeout: self.timeout(signal),
            gzip: self.gzip(signal),
            tls: TlsFiles {
                authority: self.of_signal(signal, "CERTIFICATE").map(|(_, value)| value),
                certificate: self.of_signal(signal, "CLIENT_CERTIFICATE").map(|(_, value)| value),
                key: self.of_signal(signal, "CLIENT_KEY").map(|(_, value)| value),
            },
        })
    }

    fn protocol(&mut self, signal: Signal) -> Option<Protocol> {
        let (name, value) = self.of_signal(signal, "PROTOCOL")?;
        match value.as_str() {
            "grpc" => Some(Protocol::Grpc),
            "http/protobuf" => Some(Protocol::HttpProtobuf),
            _ => {
                self.complain(&name, &value, "write grpc or http/protobuf; it is not used");
                None
            }
        }
    }

    /// Who says where a signal goes, what it says, and whether that is the whole URL even over HTTP.
    fn url(&self, signal: Signal) -> (String, String, bool) {
        let environment = if self.program.fixed { None } else { self.of_signal(signal, "ENDPOINT") };
        match (environment, &self.program.endpoint) {
            (Some((name, url)), _) => {
                let whole = name != "OTEL_EXPORTER_OTLP_ENDPOINT";
                (name, url, whole)
            }
            (None, Some(url)) => ("the endpoint".to_owned(), url.clone(), false),
            (None, None) => {
                let grpc = self.of_signal(signal, "PROTOCOL").is_some_and(|(_, value)| value == "grpc");
                ("the endpoint".to_owned(), format!("http://localhost:{}", if grpc { 4317 } else { 4318 }), false)
            }
        }
    }

    fn uri(&mut self, name: &str, url: &str) -> Option<Uri> {
        // `localhost:4317` is a scheme to some and a host to others.
        let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Option<Uri> = with_scheme.parse().ok();
        let usable = uri.filter(|uri| {
            let scheme = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
            // A port that is no number of sixteen bits is left out of `port`, and 80 would be taken for it.
            let authority =
                uri.authority().map_or("", |authority| authority.as_str()).rsplit('@').next().unwrap_or_default();
            let port = uri.port_u16().map_or(uri.host() == Some(authority), |port| port != 0);
            scheme && port && uri.host().is_some_and(|host| !host.is_empty())
        });
        if usable.is_none() {
            // A URL may bear a password.
            let shown = crate::redact::Redaction::default().query(url).into_owned();
            self.complain(name, &shown, "write http://HOST:PORT or https://HOST:PORT; no telemetry is sent there");
        }
        usable
    }

    fn headers(&mut self, signal: Signal) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.program.headers {
            match (HeaderName::from_str(name), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => {
                    headers.insert(name, value);
                }
                _ => self.said.push(format!("the header {name:?} cannot be sent; it is left out")),
            }
        }
        let Some((variable, value)) = self.of_signal(signal, "HEADERS") else { return headers };
        for pair in value.split(',').filter(|pair| !pair.trim().is_empty()) {
            let parsed = pair.split_once('=').and_then(|(name, value)| {
                let name = HeaderName::from_str(name.trim()).ok()?;
                Some((name, HeaderValue::from_str(&percent_decoded(value.trim())).ok()?))
            });
            match parsed {
                Some((name, value)) => {
                    headers.insert(name, value);
                }
                // Its value may be a token.
                None => {
                    let line = format!("{variable} has a pair that is no NAME=VALUE of a header; it is left out");
                    if !self.said.contains(&line) {
                        self.said.push(line);
                    }
                }
            }
        }
        headers
    }

    fn timeout(&mut self, signal: Signal) -> Duration {
        let said = self.of_signal(signal, "TIMEOUT").and_then(|(name, _)| self.milliseconds(&name));
        said.or(self.program.timeout).unwrap_or(EXPORT_TIMEOUT)
    }

    fn gzip(&mut self, signal: Signal) -> bool {
        let Some((name, value)) = self.of_signal(signal, "COMPRESSION") else { return false };
        match value.as_str() {
            "gzip" => true,
            "none" => false,
            _ => {
                self.complain(&name, &value, "write gzip or none; nothing is compressed");
                false
            }
        }
    }

    fn temporality(&mut self) -> Temporality {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let Some(value) = self.text(name) else { return Temporality::Cumulative };
        match value.to_ascii_lowercase().as_str() {
            "cumulative" => Temporality::Cumulative,
            "delta" => Temporality::Delta,
            "lowmemory" => Temporality::LowMemory,
            _ => {
                self.complain(name, &value, "write cumulative, delta or lowmemory; it is cumulative");
                Temporality::Cumulative
            }
        }
    }

    fn propagators(&mut self) -> Propagators {
        let Some(value) = self.text("OTEL_PROPAGATORS") else { return Propagators::default() };
        let mut propagators = Propagators { trace_context: false, baggage: false };
        for name in value.split(',').map(str::trim) {
            match name {
                "tracecontext" => propagators.trace_context = true,
                "baggage" => propagators.baggage = true,
                "none" | "" => {}
                _ => self.complain(
                    "OTEL_PROPAGATORS",
                    name,
                    "sextant-sdk speaks tracecontext and baggage; it is left out",
                ),
            }
        }
        propagators
    }

    /// The official SDK reads these and keeps its thoughts to itself.
    fn check_sampler(&mut self) {
        let Some(sampler) = self.text("OTEL_TRACES_SAMPLER") else { return };
        match sampler.as_str() {
            "always_on" | "always_off" | "parentbased_always_on" | "parentbased_always_off" => {}
            "traceidratio" | "parentbased_traceidratio" => {
                let argument = self.text("OTEL_TRACES_SAMPLER_ARG").unwrap_or_default();
                if !argument.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)) {
                    self.complain(
                        "OTEL_TRACES_SAMPLER_ARG",
                        &argument,
                        "write a number from 0 to 1; all traces are sampled",
                    );
                }
            }
            _ => self.complain(
                "OTEL_TRACES_SAMPLER",
                &sampler,
                "write always_on, always_off, traceidratio or one of these with parentbased_; all traces are sampled",
            ),
        }
    }
}

/// The URI that requests go to. Over HTTP the path of the signal is added to a base, and a URL for one signal is taken as it is; gRPC has paths of its own.
fn with_path(uri: Uri, signal: Signal, protocol: Protocol, whole: bool) -> Uri {
    let path = match protocol {
        Protocol::Grpc => signal.method().to_owned(),
        Protocol::HttpProtobuf if whole => return uri,
        Protocol::HttpProtobuf => format!("{}{}", uri.path().trim_end_matches('/'), signal.path()),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    Uri::from_parts(parts).unwrap_or(uri)
}

#[cfg(test)]
mod tests;
