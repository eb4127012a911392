//! TLS ends here: behind the gateway the shop speaks plain HTTP. Clients agree on TLS beside each other, so that one who dawdles keeps nobody out.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::context::Tasks;
use crate::limits::{HANDSHAKE_MAX, HANDSHAKES_MAX};

/// What the gateway shows and speaks. The provider is named: with several among the dependencies, none would be the default.
pub(super) fn config(certificate: &Path, key: &Path) -> anyhow::Result<ServerConfig> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificate {}", certificate.display()))?;
    anyhow::ensure!(!chain.is_empty(), "there is no certificate in {}", certificate.display());
    let private =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("cannot read the key {}", key.display()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot speak TLS")?;
    let mut config = config
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| format!("cannot use {} with {}", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Listens for clients that speak TLS.
pub(super) struct TlsListener {
    agreed: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    pub(super) fn begin(listener: TcpListener, config: ServerConfig, tasks: &Tasks) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (agree, agreed) = mpsc::channel(HANDSHAKES_MAX);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tasks.spawn(async move {
            tokio::select! {
                () = accept_all(listener, acceptor, agree.clone()) => {}
                // Nobody takes them any more.
                () = agree.closed() => {}
            }
        });
        Ok(Self { agreed, address })
    }
}

async fn accept_all(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    agree: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        // axum's, which copes with what can go wrong.
        let (stream, client) = Listener::accept(&mut listener).await;
        let (acceptor, agree) = (acceptor.clone(), agree.clone());
        tokio::spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let _ = agree.send((stream, client)).await;
                }
                // Whatever strangers send is no event for the log.
                Ok(Err(error)) => tracing::debug!(error = %error, "a client does not agree on TLS"),
                Err(_) => tracing::debug!("a client takes too long to agree on TLS"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.agreed.recv().await {
            Some(accepted) => accepted,
            // The task that accepts ends with this or with the service.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_certificate_and_key_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) =
            (write("cert.pem", &made.cert.pem()), write("key.pem", &made.signing_key.serialize_pem()));
        assert!(config(&certificate, &key).is_ok());
        for (certificate, key, named) in [
            (directory.path().join("nothing"), key.clone(), "nothing"),
            (write("empty.pem", ""), key.clone(), "empty.pem"),
            (certificate.clone(), write("nonsense.pem", "-----BEGIN"), "nonsense.pem"),
            (certificate.clone(), write("other.pem", &other.signing_key.serialize_pem()), "other.pem"),
        ] {
            let error = config(&certificate, &key).expect_err("not usable");
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }
}
