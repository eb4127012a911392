//! Receivers with TLS: whom a certificate convinces. The authority and the key in `tls/` are for this test only.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{ManualClock, Timestamp};
use query::rules::notify::client::Client;
use query::rules::notify::config::Config;
use query::rules::notify::guard::{Allowed, Guard, Lookup};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const CERTIFICATE: &str = include_str!("tls/server.pem");
const KEY: &str = include_str!("tls/server.key");

// Answers 200 to whoever takes its certificate, which is that of hooks.test.
async fn serve() -> u16 {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they fit");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            // A small request comes in one piece.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn certificates_are_checked() {
    let port = serve().await;
    for (host, tls, expected) in [
        ("hooks.test", "ca_file: ca.pem", "delivered"),
        ("other.test", "ca_file: ca.pem", "no TLS with other.test: invalid peer certificate"),
        ("other.test", "ca_file: ca.pem, server_name: hooks.test", "delivered"),
        ("other.test", "insecure_skip_verify: true", "delivered"),
        // The system's authorities do not know ours.
        ("hooks.test", "server_name: hooks.test", "no TLS with hooks.test: invalid peer certificate"),
        ("hooks.test", "", "no TLS with hooks.test: invalid peer certificate"),
    ] {
        let text = format!(
            "route: {{receiver: a}}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: https://{host}:{port}/\n    \
             http_config: {{tls_config: {{{tls}}}}}\n"
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/notify/tls");
        let allowed = Allowed::parse(&["127.0.0.1"]).expect("an address");
        let config = Config::parse("am.yml", &text, &folder, &allowed).expect("it is read");
        let lookup: Lookup = Arc::new(|_, port| Box::pin(async move { Ok(vec![([127, 0, 0, 1], port).into()]) }));
        let client = Client {
            guard: Guard::with_lookup(allowed, lookup),
            clock: Arc::new(ManualClock::new(Timestamp::default())),
            user_agent: "Sextant".to_owned(),
        };
        let body = "{}".into();
        let attempt = client.deliver(&config.receivers["a"].webhooks[0], &body, "key");
        let result = tokio::time::timeout(Duration::from_secs(20), attempt).await.expect("in time");
        let said = result.map_or_else(|failure| failure.message, |()| "delivered".to_owned());
        assert!(said.starts_with(expected), "{host} {tls}: {said}");
    }
}
