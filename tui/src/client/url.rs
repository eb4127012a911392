//! The server's address, and the paths and parameters that are put behind it.

use std::fmt;
use std::fmt::Write as _;

use super::ClientError;

/// Where a server is: scheme, host, port and perhaps a path that a proxy put in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads `http://host:port`, `host:port`, with or without a path behind.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let refuse = |reason| ClientError::BadUrl { url: text.to_owned(), reason };
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err(refuse("this version speaks http only, not https")),
            Some(_) => return Err(refuse("it does not begin with http://")),
            None => text,
        };
        let rest = rest.trim_end_matches('/');
        if rest.contains(['?', '#', '@']) {
            return Err(refuse("parameters, fragments and passwords do not belong into it"));
        }
        let uri: hyper::Uri = format!("http://{rest}").parse().map_err(|_| refuse("it cannot be read"))?;
        match uri.host() {
            None | Some("") => Err(refuse("it names no host")),
            Some(_) => Ok(Self(format!("http://{rest}"))),
        }
    }

    /// The address of `path` (which begins with a slash and is encoded already) with `params`.
    pub(super) fn join(&self, path: &str, params: &Params) -> String {
        let mut url = format!("{}{path}", self.0);
        for (position, (name, value)) in params.0.iter().enumerate() {
            url.push(if position == 0 { '?' } else { '&' });
            push_encoded(name, &mut url);
            url.push('=');
            push_encoded(value, &mut url);
        }
        url
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parameters of a request, in the order they were added.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(&'static str, String)>);

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `name` with `value`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds `name` if there is a value for it.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// `text` as one segment of a path.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_encoded(text, &mut out);
    out
}

// Everything but RFC 3986's unreserved characters is written as %XX.
fn push_encoded(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                // Writing into a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        for (text, url) in [
            ("http://127.0.0.1:3300", "http://127.0.0.1:3300"),
            ("localhost:3300/", "http://localhost:3300"),
            ("http://[::1]:3300/sextant/", "http://[::1]:3300/sextant"),
        ] {
            assert_eq!(BaseUrl::parse(text).expect(text).to_string(), url);
        }
        for text in ["", "https://host", "ftp://host", "http://", "http://host/?a=b", "http://me:secret@host", "a b"] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn encodes_parameters() {
        let base = BaseUrl::parse("host:1").expect("an address");
        let params = Params::new().with("query", "a:\"b c\"&ü").with_some("limit", None::<String>).with("x", "");
        assert_eq!(base.join("/p", &params), "http://host:1/p?query=a%3A%22b%20c%22%26%C3%BC&x=");
        assert_eq!(segment("a/b?c"), "a%2Fb%3Fc");
    }
}
