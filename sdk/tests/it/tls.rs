//! Telemetry over TLS, with an authority of one's own, and with a certificate of the service's where the collector wants one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::child::Service;
use crate::receiver::{Received, Receiver};

/// An authority, and a certificate that it gave to each side.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("an authority") }
    }

    fn give(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }
}

/// Ends TLS before a receiver; wants clients' certificates if told so.
async fn before(receiver: SocketAddr, authority: &Authority, wants_certificate: bool) -> SocketAddr {
    let (certificate, key) = authority.give("localhost");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("the usual ones");
    let builder = if wants_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(authority.issuer.der().clone()).expect("an authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = builder.with_single_cert(chain, key).expect("they belong together");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who cannot show what is wanted is turned away here.
                let Ok(mut from) = acceptor.accept(stream).await else { return };
                let mut to = TcpStream::connect(receiver).await.expect("it listens");
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    address
}

fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("writable");
    path.display().to_string()
}

fn has_work(received: &Received) -> bool {
    received.logs.iter().any(|(_, log)| log.event_name == "work.done") && !received.spans.is_empty()
}

#[tokio::test]
async fn telemetry_goes_over_tls_by_either_protocol_and_shows_a_certificate_where_one_is_wanted() {
    let files = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let ca = file(files.path(), "ca.pem", &authority.issuer.pem());
    let (certificate, key) = authority.give("orders");
    let certificate = file(files.path(), "orders.pem", &certificate.pem());
    let key = file(files.path(), "orders.key", &key.serialize_pem());
    for (protocol, wants_certificate) in
        [("grpc", false), ("grpc", true), ("http/protobuf", false), ("http/protobuf", true)]
    {
        let receiver = Receiver::start().await;
        let address = before(receiver.address, &authority, wants_certificate).await;
        let endpoint = format!("https://localhost:{}", address.port());
        let mut environment = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca),
        ];
        if wants_certificate {
            environment.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate));
            environment.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key));
        }
        let service = Service::start("busy", &environment).await;
        assert!(service.request("GET", "/work?bytes=10", &[]).await.0.is_success());
        receiver.wait_for("a span and a record over TLS", has_work).await;
        assert_eq!(service.stop().await, Vec::<String>::new(), "{protocol}");
    }
}

#[tokio::test]
async fn a_service_without_the_certificate_that_is_wanted_is_told_once_and_runs_on() {
    let files = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let ca = file(files.path(), "ca.pem", &authority.issuer.pem());
    let receiver = Receiver::start().await;
    let address = before(receiver.address, &authority, true).await;
    let endpoint = format!("https://localhost:{}", address.port());
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca)];
    let service = Service::start("busy", &environment).await;
    for _ in 0..5 {
        assert!(service.request("GET", "/work?bytes=10", &[]).await.0.is_success());
    }
    let said = service.stop().await;
    assert!(said.iter().any(|line| line.contains("no telemetry gets to https://localhost:")), "{said:?}");
    assert!(receiver.received().logs.is_empty());
}
