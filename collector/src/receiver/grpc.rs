//! OTLP/gRPC: the three export services, grpc.health.v1 and grpc.reflection, on tonic's server.
//!
//! The messages are not decoded here: a request's body is taken as bytes, its one gRPC frame unwrapped, and handed on, so
//! that both doors share one decompression, one set of limits and one decoder, and each fault gets the code that OTLP
//! recommends for it. (tonic's own codec answers OUT_OF_RANGE, which clients retry, for a message that is too large, and
//! INTERNAL for one that is no protobuf.)

use std::future::Future;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use model::Signal;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server as reflection;

use super::Door;
use super::decode::{self, Compression};
use super::status::{self, RpcStatus};
use crate::convert::{Encoding, Form};
use crate::intake::Arrival;
use crate::outcome;
use crate::{Intake, Outcome, Refusal, limits};

/// The gRPC server could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener or a connection failed in a way that ends the server.
    #[error("cannot serve OTLP/gRPC")]
    Transport(#[source] tonic::transport::Error),
    /// The messages' descriptions, which are part of the program, cannot be read: a defect.
    #[error("cannot describe the services of OTLP/gRPC")]
    Reflection(#[source] tonic_reflection::server::Error),
}

const SERVICES: [(&str, Signal); 3] = [
    ("opentelemetry.proto.collector.logs.v1.LogsService", Signal::Logs),
    ("opentelemetry.proto.collector.trace.v1.TraceService", Signal::Spans),
    ("opentelemetry.proto.collector.metrics.v1.MetricsService", Signal::Points),
];

// What stands before a message: one byte whether it is compressed, four with its length.
const FRAME_HEADER_BYTES: usize = 5;

/// The door for OTLP/gRPC: the export services, grpc.health.v1 and reflection. The future keeps health up to date, SERVING
/// from when the intake is opened until it is closed, for as long as it is polled.
pub async fn grpc_router(intake: Intake) -> Result<(Router, impl Future<Output = ()> + Send), ServeError> {
    let reporter = HealthReporter::new();
    set_health(&reporter, ServingStatus::NotServing).await;
    let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
    let routes = Routes::from(router(intake.clone()))
        .add_service(health)
        .add_service(reflection().build_v1().map_err(ServeError::Reflection)?)
        // What clients asked for before there was a v1; many still do.
        .add_service(reflection().build_v1alpha().map_err(ServeError::Reflection)?);
    let health_of_intake = async move {
        intake.opened().await;
        set_health(&reporter, ServingStatus::Serving).await;
        intake.closed().await;
        set_health(&reporter, ServingStatus::NotServing).await;
        std::future::pending::<()>().await;
    };
    Ok((routes.into_axum_router(), health_of_intake))
}

/// Serves [`grpc_router`] with tonic's own server, for who has no other, until `shutdown` completes and the calls under way
/// are answered.
pub async fn serve_grpc(
    intake: Intake,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (router, health_of_intake) = grpc_router(intake).await?;
    let server = Server::builder()
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .http2_keepalive_interval(Some(limits::HTTP2_KEEPALIVE))
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), shutdown);
    tokio::select! {
        served = server => served.map_err(ServeError::Transport),
        () = health_of_intake => Ok(()),
    }
}

// The services that are here; the descriptions have more.
fn reflection() -> reflection::Builder<'static> {
    let services = SERVICES.into_iter().map(|(name, _)| name).chain(["grpc.health.v1.Health"]);
    let builder = reflection::Builder::configure()
        .register_encoded_file_descriptor_set(opentelemetry_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    services.fold(builder, reflection::Builder::with_service_name)
}

async fn set_health(reporter: &HealthReporter, status: ServingStatus) {
    // The empty name stands for the server as a whole.
    for name in SERVICES.into_iter().map(|(name, _)| name).chain([""]) {
        reporter.set_service_status(name, status).await;
    }
}

fn router(intake: Intake) -> Router {
    let mut router = Router::new();
    for (service, signal) in SERVICES {
        router = router.route(&format!("/{service}/Export"), door(signal));
    }
    router.fallback(unknown_method).with_state(intake)
}

fn door(signal: Signal) -> MethodRouter<Intake> {
    post(move |State(intake): State<Intake>, request: Request| async move {
        if !is_grpc(request.headers()) {
            let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
            let content_type = String::from_utf8_lossy(content_type).into_owned();
            intake.counters().astray(Door::Grpc, &Refusal::ContentType { content_type });
            // Not gRPC's to answer; this is what its specification asks for.
            return with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let result = receive(&intake, signal, request).await;
        intake.counters().answered(Door::Grpc, signal, &result);
        match result {
            Ok(outcome) => succeed(signal, &outcome),
            Err(refusal) => refuse(&refusal),
        }
    })
}

async fn unknown_method(State(intake): State<Intake>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    intake.counters().astray(Door::Grpc, &Refusal::UnknownPath { path: path.clone() });
    let mut message = format!("Export of the OTLP services is received; there is no method {path}");
    outcome::truncate(&mut message, limits::REFUSAL_TEXT_BYTES_MAX);
    into_response(Status::unimplemented(message))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [&b"application/grpc"[..], b"application/grpc+proto"].iter().any(|known| media_type.eq_ignore_ascii_case(known))
}

fn with_status(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

async fn receive(intake: &Intake, signal: Signal, request: Request) -> Result<Outcome, Refusal> {
    let encoding = request.headers().get("grpc-encoding").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let named = encoding.as_deref().unwrap_or_default();
    let compression =
        Compression::of_header(named).ok_or_else(|| Refusal::ContentEncoding { encoding: named.to_owned() })?;
    let mut reservation = intake.reserve()?;
    reservation.within(request.extensions().get());
    let bytes_max = intake.config().request_bytes_max;
    // Nothing is drained: over HTTP/2 an answer reaches a client that is still sending.
    let framed_max = bytes_max + FRAME_HEADER_BYTES as u64;
    let gathered = decode::gather(intake, request.into_body(), framed_max, 0, &mut reservation).await;
    let framed = gathered.map_err(|refusal| match refusal {
        Refusal::TooLarge { .. } => Refusal::TooLarge { bytes_max },
        other => other,
    })?;
    let (compression, body) = unwrap_frame(framed.into(), compression, bytes_max)?;
    let (door, encoding) = (Door::Grpc, Encoding::Protobuf);
    let form = Form::Otlp(encoding);
    intake.accept(Arrival { door, signal, form, compression, body, reservation }).await
}

// The one message of a unary call.
fn unwrap_frame(framed: Bytes, compression: Compression, bytes_max: u64) -> Result<(Compression, Bytes), Refusal> {
    let broken = |what: &str| Refusal::Broken { what: what.to_owned() };
    let [compressed, a, b, c, d, ..] = framed[..] else {
        return Err(broken("there is no gRPC message"));
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if u64::from(length) > bytes_max {
        return Err(Refusal::TooLarge { bytes_max });
    }
    let compression = match compressed {
        0 => Compression::Identity,
        1 if compression == Compression::Identity => {
            return Err(broken("the message is compressed, but grpc-encoding does not say how"));
        }
        1 => compression,
        _ => return Err(broken("the first byte of a gRPC message is 0 or 1")),
    };
    let message = framed.slice(FRAME_HEADER_BYTES..);
    match message.len().cmp(&(length as usize)) {
        std::cmp::Ordering::Less => Err(broken("the gRPC message is shorter than it says")),
        std::cmp::Ordering::Equal => Ok((compression, message)),
        std::cmp::Ordering::Greater => Err(broken("a unary call has one gRPC message")),
    }
}

fn succeed(signal: Signal, outcome: &Outcome) -> Response {
    let message = status::export_response(outcome.partial_success(signal));
    let length = u32::try_from(message.len()).expect("the answer is bounded to a few reasons");
    let frame = Bytes::from([&[0], &length.to_be_bytes()[..], &message].concat());
    let trailers = async { Some(Ok(HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]))) };
    let mut response = Response::new(axum::body::Body::new(Full::new(frame).with_trailers(trailers)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

const GRPC_STATUS: header::HeaderName = header::HeaderName::from_static("grpc-status");
const GRPC_ACCEPT_ENCODING: header::HeaderName = header::HeaderName::from_static("grpc-accept-encoding");

pub(super) fn refuse(refusal: &Refusal) -> Response {
    super::log_refusal(Door::Grpc, refusal);
    let status = RpcStatus::of(refusal);
    let code = Code::from_i32(status.code);
    let details = Bytes::from(status.to_protobuf());
    let mut response = into_response(Status::with_details(code, status.message, details));
    if matches!(refusal, Refusal::ContentEncoding { .. }) {
        response.headers_mut().insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip,zstd"));
    }
    response
}

fn into_response(status: Status) -> Response {
    status.into_http::<Body>().map(axum::body::Body::new)
}
