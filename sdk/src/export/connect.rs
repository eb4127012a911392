//! Connections to the collector: plain, or with TLS where the endpoint says https and the crate was built with it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections for hyper's client.
#[derive(Clone)]
pub(crate) struct Connector {
    http: HttpConnector,
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsConnector>,
}

impl Connector {
    /// For endpoints that begin with http.
    pub(crate) fn plain(timeout: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(timeout));
        Self {
            http,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// For endpoints that begin with https. `http2` is what gRPC speaks.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(timeout: Duration, files: &TlsFiles, http2: bool) -> Result<Self, String> {
        let mut config = tls::config(files)?;
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        Ok(Self { tls: Some(std::sync::Arc::new(config).into()), ..Self::plain(timeout) })
    }

    /// Says that there is none.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn with_tls(_: Duration, _: &TlsFiles, _: bool) -> Result<Self, String> {
        Err("sextant-sdk was built without its feature `tls`".to_owned())
    }
}

/// Files of certificates, from `OTEL_EXPORTER_OTLP_CERTIFICATE` and its like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TlsFiles {
    /// Authorities in place of the system's.
    pub(crate) authority: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) key: Option<String>,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        #[cfg(feature = "tls")]
        let tls = self.tls.clone().map(|tls| (tls, uri.host().unwrap_or_default().to_owned()));
        let connecting = self.http.call(uri);
        Box::pin(async move {
            let plain = connecting.await?;
            #[cfg(feature = "tls")]
            if let Some((tls, host)) = tls {
                let name = rustls::pki_types::ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
                let stream = tls.connect(name, plain.into_inner()).await?;
                return Ok(Stream::Tls(Box::new(TokioIo::new(stream))));
            }
            Ok(Stream::Plain(plain))
        })
    }
}

/// One connection.
pub(crate) enum Stream {
    Plain(TokioIo<TcpStream>),
    #[cfg(feature = "tls")]
    Tls(Box<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::io::Read;
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ClientConfig, RootCertStore};

    use super::TlsFiles;

    /// Largest file of certificates; a bundle of all public authorities has a quarter of a megabyte.
    const FILE_BYTES_MAX: u64 = 4 << 20;

    pub(super) fn config(files: &TlsFiles) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder =
            builder.with_safe_default_protocol_versions().map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let builder = builder.with_root_certificates(roots(files.authority.as_deref())?);
        let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else {
            return match (&files.certificate, &files.key) {
                (None, None) => Ok(builder.with_no_client_auth()),
                _ => Err("a client needs both its certificate and its key".to_owned()),
            };
        };
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file(certificate)?).collect();
        let certificates = certificates.map_err(|error| format!("{certificate} is no certificate in PEM: {error}"))?;
        // What is wrong with a key is said without showing it.
        let private =
            PrivateKeyDer::from_pem_slice(&file(key)?).map_err(|_| format!("{key} is no private key in PEM"))?;
        builder
            .with_client_auth_cert(certificates, private)
            .map_err(|error| format!("{certificate} and {key} do not work: {error}"))
    }

    fn roots(authority: Option<&str>) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let Some(path) = authority else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        for certificate in CertificateDer::pem_slice_iter(&file(path)?) {
            let certificate = certificate.map_err(|error| format!("{path} is no certificate in PEM: {error}"))?;
            roots.add(certificate).map_err(|error| format!("{path} has a bad certificate: {error}"))?;
        }
        if roots.is_empty() { Err(format!("{path} has no certificate")) } else { Ok(roots) }
    }

    fn file(path: &str) -> Result<Vec<u8>, String> {
        let read = || {
            let file = std::fs::File::open(path)?;
            let mut bytes = Vec::new();
            // A pipe or a device would be read for ever.
            if !file.metadata()?.is_file() {
                return Err(std::io::Error::other("it is no regular file"));
            }
            file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error: std::io::Error| format!("cannot read {path}: {error}"))
    }
}
