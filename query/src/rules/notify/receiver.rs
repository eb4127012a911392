//! The receivers of an `alertmanager.yml`: webhooks, how to reach them and what proves who calls. Reads files that are
//! named only to see that they are there; their contents are read anew at each attempt, so that secrets can be changed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use model::{small_file, tls};
use rustls::ClientConfig;

use super::error::ConfigError;
use super::guard::{Allowed, literal};
use super::limits::SECRET_BYTES_MAX;
use model::yaml::{Map, Node, Source};

/// Someone who is told. Without webhooks nobody is.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    /// Each is told on its own.
    pub webhooks: Vec<Arc<Webhook>>,
}

/// One webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where it is.
    pub url: Secret,
    /// Whether it wants to hear that alerts were resolved.
    pub send_resolved: bool,
    /// The most alerts of one notification; 0 for any number.
    pub max_alerts: usize,
    /// How long an attempt may take, if it says so.
    pub timeout: Option<Duration>,
    /// How it is called.
    pub http: HttpConfig,
    /// What bodies are signed with.
    pub hmac: Option<Secret>,
}

/// How receivers are called.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// Who calls.
    pub authorization: Authorization,
    /// Of `https` receivers.
    pub tls: Option<Arc<ClientConfig>>,
    /// The name in the receiver's certificate, if it is not that of the URL.
    pub server_name: Option<String>,
}

/// The header `Authorization`.
#[derive(Clone, Debug, Default)]
pub enum Authorization {
    /// None.
    #[default]
    Absent,
    /// User and password.
    Basic(String, Secret),
    /// A scheme such as `Bearer`, and what follows it.
    Scheme(String, Secret),
}

/// Something that must not be shown: never by `Debug`, in errors or in logs.
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
        let path = match self {
            Secret::Text(text) => return Ok(text.clone()),
            Secret::File(path) => path,
        };
        let told = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        Ok(small_file::read_text(path, SECRET_BYTES_MAX).map_err(told)?.trim().to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Text(_) => f.write_str("<secret>"),
            Secret::File(path) => write!(f, "<secret of {}>", path.display()),
        }
    }
}

const KINDS: [&str; 19] = [
    "discord_configs",
    "email_configs",
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "pushover_configs",
    "rocketchat_configs",
    "slack_configs",
    "sns_configs",
    "telegram_configs",
    "victorops_configs",
    "webex_configs",
    "wechat_configs",
    "hipchat_configs",
    "amazon_sns_configs",
];

/// One entry of `receivers`.
pub fn read(
    source: Source<'_>,
    node: &Node,
    http: &HttpConfig,
    folder: &Path,
    allowed: &Allowed,
) -> Result<(String, Receiver), ConfigError> {
    let map = node.map(source, "receiver")?;
    let Some(name) = map.text("name")?.filter(|name| !name.is_empty()) else {
        return Err(source.error(map.line, "a receiver without a name", "write `name:` into it"));
    };
    const HINT: &str = "only webhook_configs are supported: use the service's webhook, or keep an Alertmanager for it";
    map.refuse(&KINDS.map(|kind| (kind, HINT)))?;
    let mut receiver = Receiver::default();
    for node in map.get("webhook_configs").map_or(Ok(&[][..]), |list| list.list(source, "webhook_configs"))? {
        receiver.webhooks.push(Arc::new(read_webhook(source, node, http, folder, allowed)?));
    }
    map.end()?;
    Ok((name, receiver))
}

fn read_webhook(
    source: Source<'_>,
    node: &Node,
    http: &HttpConfig,
    folder: &Path,
    allowed: &Allowed,
) -> Result<Webhook, ConfigError> {
    let map = node.map(source, "webhook_config")?;
    map.refuse(&[("payload", "the body is Alertmanager's webhook version 4; remove it")])?;
    let Some((url, line)) = secret(source, &map, "url", "url_file", folder)? else {
        return Err(source.error(map.line, "a webhook without url", "write `url:` or `url_file:` into it"));
    };
    if let Secret::Text(text) = &url {
        check_url(text, allowed).map_err(|(message, hint)| source.error(line, message, hint))?;
    }
    let max_alerts = map.number("max_alerts")?.unwrap_or(0);
    let webhook = Webhook {
        url,
        send_resolved: map.boolean("send_resolved")?.unwrap_or(true),
        max_alerts: usize::try_from(max_alerts).unwrap_or(usize::MAX),
        timeout: map
            .duration("timeout")?
            .filter(|millis| *millis > 0)
            .map(|millis| Duration::from_millis(millis as u64)),
        http: match map.map("http_config")? {
            Some(own) => read_http(source, &own, folder)?,
            None => http.clone(),
        },
        hmac: secret(source, &map, "hmac_secret", "hmac_secret_file", folder)?.map(|(secret, _)| secret),
    };
    if matches!(&webhook.hmac, Some(Secret::Text(text)) if text.is_empty()) {
        return Err(source.error(map.line, "hmac_secret is empty", "write a long random text, or remove it"));
    }
    map.end()?;
    Ok(webhook)
}

// A receiver's URL as far as it can be judged without asking for its address.
fn check_url(text: &str, allowed: &Allowed) -> Result<(), (String, String)> {
    let hint = "write it like https://hooks.example.org/alerts";
    let wrong = |message: &str| (message.to_owned(), hint.to_owned());
    let url = parse_url(text).map_err(wrong)?;
    let (host, port) = (url.host().unwrap_or_default(), port(&url));
    match literal(host) {
        Ok(Some(address)) => allowed.check(host, address, port).map_err(|refused| {
            let hint = format!("if it is meant, add \"{host}\" to rules.allowed_receivers in sextant.toml");
            (format!("the receiver {refused}"), hint)
        }),
        Ok(None) => Ok(()),
        Err(reason) => Err((format!("the receiver's host {host:?} {reason}"), hint.to_owned())),
    }
}

/// The parts of a receiver's URL. Errors do not repeat it: its path may be a secret.
pub fn parse_url(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_| "the receiver's URL cannot be read")?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err("the receiver's URL begins neither with http:// nor with https://");
    }
    if url.host().is_none_or(str::is_empty) {
        return Err("the receiver's URL names no host");
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("the receiver's URL has a user in it, which belongs into http_config.basic_auth");
    }
    Ok(url)
}

/// The port that a URL means.
pub fn port(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 })
}

/// An `http_config`.
pub fn read_http(source: Source<'_>, map: &Map<'_>, folder: &Path) -> Result<HttpConfig, ConfigError> {
    const PROXY: &str = "receivers are called directly, at the address that was checked; remove it";
    map.refuse(&[
        ("proxy_url", PROXY),
        ("proxy_from_environment", PROXY),
        ("no_proxy", PROXY),
        ("proxy_connect_header", PROXY),
        ("oauth2", "use authorization with credentials_file"),
        ("http_headers", "use authorization; other headers are not supported"),
    ])?;
    for (key, hint) in [
        ("follow_redirects", "redirects are never followed; remove it or write false"),
        ("enable_http2", "receivers are called with HTTP/1.1; remove it or write false"),
    ] {
        if let Some(node) = map.get(key).filter(|node| node.boolean(source, key).is_ok_and(|on| on)) {
            return Err(source.error(node.place.line, format!("{} is not supported", map.name(key)), hint));
        }
        map.boolean(key)?;
    }
    let mut found = Vec::new();
    if let Some(basic) = map.map("basic_auth")? {
        basic.refuse(&[
            ("username_file", "write the name as `username:`"),
            ("username_ref", ""),
            ("password_ref", ""),
        ])?;
        let user = basic.text("username")?.unwrap_or_default();
        let password = secret(source, &basic, "password", "password_file", folder)?;
        basic.end()?;
        found.push(Authorization::Basic(user, password.map_or(Secret::Text(String::new()), |(secret, _)| secret)));
    }
    if let Some(other) = map.map("authorization")? {
        other.refuse(&[("credentials_ref", "")])?;
        let scheme = other.text("type")?.filter(|scheme| !scheme.is_empty()).unwrap_or_else(|| "Bearer".to_owned());
        let credentials = secret(source, &other, "credentials", "credentials_file", folder)?;
        other.end()?;
        if scheme.eq_ignore_ascii_case("basic") {
            return Err(source.error(other.line, "authorization.type is basic", "use basic_auth"));
        }
        let Some((credentials, _)) = credentials else {
            let hint = "write `credentials:` or `credentials_file:`";
            return Err(source.error(other.line, "authorization without credentials", hint));
        };
        found.push(Authorization::Scheme(scheme, credentials));
    }
    if let Some((token, _)) = secret(source, map, "bearer_token", "bearer_token_file", folder)? {
        found.push(Authorization::Scheme("Bearer".to_owned(), token));
    }
    if found.len() > 1 {
        let hint = "keep one of basic_auth, authorization and bearer_token";
        return Err(source.error(map.line, "more than one way to authorize", hint));
    }
    let (tls, server_name) = match map.map("tls_config")? {
        Some(tls) => read_tls(source, &tls, folder)?,
        None => (None, None),
    };
    map.end()?;
    Ok(HttpConfig { authorization: found.pop().unwrap_or_default(), tls, server_name })
}

type Tls = (Option<Arc<ClientConfig>>, Option<String>);

fn read_tls(source: Source<'_>, map: &Map<'_>, folder: &Path) -> Result<Tls, ConfigError> {
    const OWN: &str = "certificates of our own are not supported yet; use authorization";
    map.refuse(&[
        ("cert", OWN),
        ("cert_file", OWN),
        ("key", OWN),
        ("key_file", OWN),
        ("cert_ref", OWN),
        ("key_ref", OWN),
        ("ca_ref", "use ca_file"),
        ("min_version", "TLS 1.2 and 1.3 are spoken; remove it"),
        ("max_version", "TLS 1.2 and 1.3 are spoken; remove it"),
    ])?;
    let authority = secret(source, map, "ca", "ca_file", folder)?;
    let unverified = map.boolean("insecure_skip_verify")?.unwrap_or(false);
    let server_name = map.text("server_name")?;
    map.end()?;
    let line = authority.as_ref().map_or(map.line, |(_, line)| *line);
    let pem = match authority {
        Some((secret, _)) => Some(secret.reveal().map_err(|error| source.error(line, error.to_string(), ""))?),
        None => None,
    };
    let config = tls::config(pem.as_deref(), None, unverified).map_err(|reason| source.error(line, reason, ""))?;
    Ok((Some(config), server_name))
}

// One of `key` and `file_key`, and its line.
fn secret(
    source: Source<'_>,
    map: &Map<'_>,
    key: &'static str,
    file_key: &'static str,
    folder: &Path,
) -> Result<Option<(Secret, u64)>, ConfigError> {
    match (map.get(key), map.get(file_key)) {
        (Some(node), Some(_)) => {
            let message = format!("{} and {} at the same time", map.name(key), map.name(file_key));
            Err(source.error(node.place.line, message, "keep one of them"))
        }
        (Some(node), None) => Ok(Some((Secret::Text(node.text(source, &map.name(key))?), node.place.line))),
        (None, Some(node)) => {
            let file = Secret::File(folder.join(node.text(source, &map.name(file_key))?));
            file.reveal().map_err(|error| {
                source.error(node.place.line, format!("{} cannot be read: {error}", map.name(file_key)), "")
            })?;
            Ok(Some((file, node.place.line)))
        }
        (None, None) => Ok(None),
    }
}
