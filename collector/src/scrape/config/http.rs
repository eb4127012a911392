//! How targets and lists of targets are asked: who asks, and how it is encrypted. Files that are named are looked for when the
//! configuration is read; those of secrets are read again each time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{small_file, tls};
use rustls::ClientConfig;

use super::ConfigError;
use crate::limits::SCRAPE_SECRET_BYTES_MAX;
use model::yaml::{Map, Node, Source};

/// How something is asked over HTTP.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Who asks.
    pub authorization: Authorization,
    /// Of `https`.
    pub tls: Tls,
    /// Whether an answer may lead elsewhere.
    pub follow_redirects: bool,
    /// Whether an answer may be compressed.
    pub compression: bool,
    /// Headers besides.
    pub headers: Vec<(String, Vec<Secret>)>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            authorization: Authorization::default(),
            tls: Tls::default(),
            follow_redirects: true,
            compression: true,
            headers: Vec::new(),
        }
    }
}

/// The header `Authorization`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// None.
    #[default]
    Absent,
    /// User and password.
    Basic(Secret, Secret),
    /// A scheme such as `Bearer`, and what follows it.
    Scheme(String, Secret),
}

/// Something that must not be shown: never by `Debug`, in complaints or in logs.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// As it stands in the file.
    Text(String),
    /// In a file of its own.
    File(PathBuf),
}

impl Secret {
    /// What is to be kept secret. Reads the file, which blocks.
    pub fn reveal(&self) -> std::io::Result<String> {
        match self {
            Secret::Text(text) => Ok(text.clone()),
            Secret::File(path) => Ok(small_file::read_text(path, SCRAPE_SECRET_BYTES_MAX)?.trim().to_owned()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Text(_) => f.write_str("<secret>"),
            Secret::File(path) => write!(f, "<secret in {}>", path.display()),
        }
    }
}

/// The client's side of TLS; `None` for the system's authorities and no certificate.
#[derive(Clone, Default)]
pub struct Tls {
    /// What rustls wants.
    pub config: Option<Arc<ClientConfig>>,
    /// The name in the server's certificate, if it is not that of the address.
    pub server_name: Option<String>,
    // What makes it, to tell whether it changed; and the files that it came from.
    made_of: Vec<String>,
    files: Vec<PathBuf>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl PartialEq for HttpConfig {
    fn eq(&self, other: &Self) -> bool {
        self.authorization == other.authorization
            && (self.tls.made_of == other.tls.made_of && self.tls.server_name == other.tls.server_name)
            && (self.follow_redirects, self.compression) == (other.follow_redirects, other.compression)
            && self.headers == other.headers
    }
}

impl HttpConfig {
    /// The files whose change is a change of this; those of secrets are not among them.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.tls.files.iter().cloned()
    }
}

const PROXY: &str = "targets are asked directly; remove it, or scrape from where they can be reached";
const OAUTH: &str = "remove it, and write a token into the file that authorization.credentials_file names";

/// The keys of a job, or of a list of targets, that say how it is asked.
pub(super) fn read(source: Source<'_>, map: &Map<'_>, folder: &Path) -> Result<HttpConfig, ConfigError> {
    map.refuse(&[
        ("oauth2", OAUTH),
        ("sigv4", OAUTH),
        ("proxy_url", PROXY),
        ("no_proxy", PROXY),
        ("proxy_from_environment", PROXY),
        ("proxy_connect_header", PROXY),
    ])?;
    // HTTP/1.1 is spoken whatever it says.
    map.boolean("enable_http2")?;
    let mut found = Vec::new();
    if let Some(basic) = map.map("basic_auth")? {
        basic.refuse(&[("username_ref", "write username"), ("password_ref", "write password_file")])?;
        let user = secret(source, &basic, "username", "username_file", folder)?;
        let password = secret(source, &basic, "password", "password_file", folder)?;
        basic.end()?;
        let none = || Secret::Text(String::new());
        found.push(Authorization::Basic(user.unwrap_or_else(none), password.unwrap_or_else(none)));
    }
    if let Some(other) = map.map("authorization")? {
        other.refuse(&[("credentials_ref", "write credentials_file")])?;
        let scheme = other.text("type")?.filter(|scheme| !scheme.is_empty()).unwrap_or_else(|| "Bearer".to_owned());
        let credentials = secret(source, &other, "credentials", "credentials_file", folder)?;
        other.end()?;
        if scheme.eq_ignore_ascii_case("basic") {
            return Err(other.error("type", "authorization.type is basic", "use basic_auth"));
        }
        let Some(credentials) = credentials else {
            let hint = "write credentials or credentials_file";
            return Err(source.error(other.line, "authorization has no credentials", hint));
        };
        found.push(Authorization::Scheme(scheme, credentials));
    }
    if let Some(token) = secret(source, map, "bearer_token", "bearer_token_file", folder)? {
        found.push(Authorization::Scheme("Bearer".to_owned(), token));
    }
    if found.len() > 1 {
        let hint = "keep one of basic_auth, authorization and bearer_token";
        return Err(source.error(map.line, "there is more than one way to authorize", hint));
    }
    let tls = match map.map("tls_config")? {
        Some(tls) => read_tls(source, &tls, folder)?,
        None => Tls::default(),
    };
    Ok(HttpConfig {
        authorization: found.pop().unwrap_or_default(),
        tls,
        follow_redirects: map.boolean("follow_redirects")?.unwrap_or(true),
        compression: map.boolean("enable_compression")?.unwrap_or(true),
        headers: headers(source, map, folder)?,
    })
}

fn headers(source: Source<'_>, map: &Map<'_>, folder: &Path) -> Result<Vec<(String, Vec<Secret>)>, ConfigError> {
    const OWN: [&str; 5] = ["host", "authorization", "accept-encoding", "user-agent", "content-length"];
    let Some(named) = map.map("http_headers")? else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for (name, line, node) in named.pairs() {
        if OWN.contains(&name.to_ascii_lowercase().as_str()) || hyper::header::HeaderName::try_from(name).is_err() {
            return Err(source.error(line, format!("the header {name:?} cannot be set"), "remove it"));
        }
        let one = node.map(source, &named.name(name))?;
        let plain = one.texts("values")?.into_iter().chain(one.texts("secrets")?);
        let mut values: Vec<Secret> = plain.map(|(text, _)| Secret::Text(text)).collect();
        for (path, line) in one.texts("files")? {
            values.push(in_file(source, folder.join(path), line, &one.name("files"))?);
        }
        one.end()?;
        headers.push((name.to_owned(), values));
    }
    Ok(headers)
}

fn read_tls(source: Source<'_>, map: &Map<'_>, folder: &Path) -> Result<Tls, ConfigError> {
    const VERSIONS: &str = "TLS 1.2 and 1.3 are spoken; remove it";
    map.refuse(&[
        ("min_version", VERSIONS),
        ("max_version", VERSIONS),
        ("ca_ref", "write ca_file"),
        ("cert_ref", "write cert_file"),
        ("key_ref", "write key_file"),
    ])?;
    let [authority, certificate, key] = [("ca", "ca_file"), ("cert", "cert_file"), ("key", "key_file")]
        .map(|(text, file)| secret(source, map, text, file, folder));
    let parts = [authority?, certificate?, key?];
    let unverified = map.boolean("insecure_skip_verify")?.unwrap_or(false);
    let server_name = map.text("server_name")?;
    map.end()?;
    let mut pem = Vec::new();
    for part in &parts {
        let text = part.as_ref().map(Secret::reveal).transpose();
        pem.push(text.map_err(|error| source.error(map.line, error.to_string(), ""))?);
    }
    let own = match (&pem[1], &pem[2]) {
        (Some(certificate), Some(key)) => Some((certificate.as_str(), key.as_str())),
        (None, None) => None,
        _ => {
            let message =
                format!("{} has a certificate without its key, or a key without its certificate", map.name(""));
            return Err(source.error(map.line, message.replace('.', ""), "write cert_file and key_file, or neither"));
        }
    };
    let config = tls::config(pem[0].as_deref(), own, unverified);
    let config = config.map_err(|reason| source.error(map.line, format!("tls_config: {reason}"), ""))?;
    let files = parts.into_iter().flatten().filter_map(|part| match part {
        Secret::File(path) => Some(path),
        Secret::Text(_) => None,
    });
    let made_of = pem.iter().map(|pem| pem.clone().unwrap_or_default()).chain([unverified.to_string()]).collect();
    Ok(Tls { config: Some(config), server_name, made_of, files: files.collect() })
}

// One of `key` and `file_key`.
fn secret(
    source: Source<'_>,
    map: &Map<'_>,
    key: &'static str,
    file_key: &'static str,
    folder: &Path,
) -> Result<Option<Secret>, ConfigError> {
    match (map.get(key), map.get(file_key)) {
        (Some(node), Some(_)) => {
            let message = format!("{} and {} at the same time", map.name(key), map.name(file_key));
            Err(source.error(node.place.line, message, "keep one of them"))
        }
        (Some(node), None) => Ok(Some(Secret::Text(node.text(source, &map.name(key))?))),
        (None, Some(node)) => file(source, node, folder, &map.name(file_key)).map(Some),
        (None, None) => Ok(None),
    }
}

fn file(source: Source<'_>, node: &Node, folder: &Path, what: &str) -> Result<Secret, ConfigError> {
    in_file(source, folder.join(node.text(source, what)?), node.place.line, what)
}

fn in_file(source: Source<'_>, path: PathBuf, line: u64, what: &str) -> Result<Secret, ConfigError> {
    let secret = Secret::File(path);
    match secret.reveal() {
        Ok(_) => Ok(secret),
        Err(error) => Err(source.error(line, format!("{what} cannot be read: {error}"), "")),
    }
}
