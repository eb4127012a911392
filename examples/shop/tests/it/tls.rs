//! TLS ends at the gateway, with a certificate that is made here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::fakes::{Customer, Fake, Gateway, write};
use crate::receiver::Receiver;

#[tokio::test]
async fn tls_ends_at_the_gateway() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = write(directory.path(), "cert.pem", &made.cert.pem());
    let key = write(directory.path(), "key.pem", &made.signing_key.serialize_pem());
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &["--tls-certificate", &certificate, "--tls-key", &key]).await;
    let catalog = Fake::start(&gateway, "catalog", "catalog-1").await;
    let address: SocketAddr = gateway.url.trim_start_matches("http://").parse().expect("an address");

    let plain = Customer::new().try_ask(Method::GET, &format!("{}/products", gateway.url), Value::Null, &[]).await;
    assert!(plain.is_none(), "{plain:?}");
    // Whoever connects and says nothing keeps nobody out.
    let _silent = TcpStream::connect(address).await.expect("it listens");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let request = Request::get("/products").header("host", "localhost").body(Full::<Bytes>::default()).expect("one");
    let response = sender.send_request(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert!(response.headers()["set-cookie"].to_str().expect("text").ends_with("; Secure"));
    let body: Value =
        serde_json::from_slice(&response.into_body().collect().await.expect("whole").to_bytes()).expect("JSON");
    assert_eq!(body["instance"], catalog.name());
    assert_eq!(catalog.behaviour.headers.lock().expect("nobody panics")["x-forwarded-for"], "127.0.0.1");
    drop(sender);
    let begun = Instant::now();
    gateway.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    receiver.received().span("gateway", "GET /products", SpanKind::Server);
}

#[tokio::test]
async fn a_certificate_that_is_none_is_said_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write(directory.path(), "empty.pem", "");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_shop"))
        .env_clear()
        .args(["service", "gateway", "--otlp", "http://127.0.0.1:1", "--tls-certificate", &file, "--tls-key", &file])
        .output()
        .await
        .expect("it runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("empty.pem"), "{said}");
}
