//! Parameters as Prometheus reads them: from the URL and from a form in the body, times and durations in its own ways. Unlike
//! on Sextant's own paths, unknown parameters are ignored.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};

use super::answer::PromError;
use crate::promql::{Matcher, MillisRange, series_selector};

/// The parameters of one request. Of several with one name the first counts, the body's before the URL's.
#[derive(Debug, Default)]
pub(in crate::api) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = PromError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PromError> {
        let url = request.uri().query().unwrap_or_default().to_owned();
        let is_form = request.method() == Method::POST
            && request
                .headers()
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        let mut pairs = Vec::new();
        if is_form {
            let body = Bytes::from_request(request, state).await;
            let body = body.map_err(|error| PromError::bad_data(format!("cannot read the form: {error}")))?;
            pairs.extend(form_urlencoded::parse(&body).into_owned());
        }
        pairs.extend(form_urlencoded::parse(url.as_bytes()).into_owned());
        Ok(Self(pairs))
    }
}

impl Params {
    /// A parameter's value; empty if it is not there.
    pub(in crate::api) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that may come several times.
    pub(in crate::api) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// A time in milliseconds, if it is there.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, PromError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let refuse = || PromError::bad_parameter(name, format!("cannot parse {text:?} to a valid timestamp"));
        parse_time(text).map(Some).ok_or_else(refuse)
    }

    /// The same where Prometheus has a default; it says so in a sentence of its own if the time is none.
    pub(super) fn optional_time(&self, name: &str) -> Result<Option<i64>, PromError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let refuse = || {
            let reason = format!("invalid time value for '{name}': cannot parse {text:?} to a valid timestamp");
            PromError::bad_parameter(name, reason)
        };
        parse_time(text).map(Some).ok_or_else(refuse)
    }

    /// A time in milliseconds, which has to be there.
    pub(super) fn needed_time(&self, name: &str) -> Result<i64, PromError> {
        self.time(name)?.ok_or_else(|| PromError::bad_parameter(name, "cannot parse \"\" to a valid timestamp"))
    }

    /// A duration in milliseconds, if it is there.
    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, PromError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let refuse = || PromError::bad_parameter(name, format!("cannot parse {text:?} to a valid duration"));
        parse_duration(text).map(Some).ok_or_else(refuse)
    }

    /// The parameter `lookback_delta` in milliseconds, if it is there.
    pub(super) fn lookback(&self) -> Result<Option<i64>, PromError> {
        let Some(text) = self.get("lookback_delta") else { return Ok(None) };
        let reason = || format!("error parsing lookback delta duration: cannot parse {text:?} to a valid duration");
        parse_duration(text).map(Some).ok_or_else(|| PromError::bad_data(reason()))
    }

    /// The parameter `timeout`, but never more than `most`.
    pub(super) fn timeout(&self, most: Duration) -> Result<Duration, PromError> {
        let asked = self.duration("timeout")?.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
        Ok(asked.map_or(most, |asked| asked.min(most)))
    }

    /// A number of things, 0 if it is not there.
    pub(in crate::api) fn limit(&self, name: &str) -> Result<usize, PromError> {
        let Some(text) = self.get(name) else { return Ok(0) };
        match text.parse::<i64>() {
            Ok(limit) => {
                usize::try_from(limit).map_err(|_| PromError::bad_parameter(name, "limit must be non-negative"))
            }
            // Whatever is wrong with it, in the words of Go.
            Err(_) => {
                let reason = format!("strconv.Atoi: parsing {text:?}: invalid syntax");
                Err(PromError::bad_parameter(name, reason))
            }
        }
    }

    /// The same where a number below `least` is refused in one sentence, whatever is wrong with it.
    pub(super) fn count(&self, name: &str, least: usize, wanted: &str) -> Result<Option<usize>, PromError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number >= least);
        number.map(Some).ok_or_else(|| PromError::bad_data(format!("{name} must be a {wanted}")))
    }

    /// `start` and `end` with everything as the default.
    pub(super) fn range(&self) -> Result<MillisRange, PromError> {
        let first = self.optional_time("start")?.unwrap_or(i64::MIN);
        let last = self.optional_time("end")?.unwrap_or(i64::MAX);
        Ok(MillisRange { first, last })
    }

    /// The selectors in `match[]`.
    pub(in crate::api) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, PromError> {
        self.matchers().map_err(|message| PromError::bad_parameter("match[]", message))
    }

    /// The same on the paths of labels, where Prometheus does not name the parameter that is wrong.
    pub(super) fn selectors_of_labels(&self) -> Result<Vec<Vec<Matcher>>, PromError> {
        self.matchers().map_err(PromError::bad_data)
    }

    fn matchers(&self) -> Result<Vec<Vec<Matcher>>, String> {
        let texts = self.0.iter().filter(|(name, _)| name == "match[]").map(|(_, text)| text);
        let selector = |text: &String| {
            series_selector(text).map_err(|error| error.to_string()).map_err(|error| {
                let selects_all = error.ends_with("must contain at least one non-empty matcher");
                if selects_all { "match[] must contain at least one non-empty matcher".to_owned() } else { error }
            })
        };
        texts.map(selector).collect()
    }
}

/// Unix seconds with a fraction, or RFC 3339; in milliseconds.
fn parse_time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        // The whole seconds apart, so that the fraction keeps its digits.
        let millis = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        return (millis.abs() < 9e18).then_some(millis as i64);
    }
    // What is left of Sextant's ways to write a time without `now` and distances from it.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    model::Timestamp::parse(text, model::Timestamp::default()).ok().map(model::Timestamp::as_millis)
}

/// Seconds with a fraction, or a duration such as `1h30m`; in milliseconds.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds * 1000.0;
        return (millis.abs() < 9e15).then_some(millis as i64);
    }
    if text == "0s" {
        return Some(0);
    }
    let duration = promql_parser::util::parse_duration(text).ok()?;
    i64::try_from(duration.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1700000000.123", Some(1_700_000_000_123)),
            ("1700000000.9996", Some(1_700_000_001_000)),
            ("-1.5", Some(-1_500)),
            ("1e3", Some(1_000_000)),
            ("1970-01-01T00:00:01.5Z", Some(1_500)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("now", None),
            ("-5m", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("yesterday", None),
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("15s", Some(15_000)),
            ("1h30m", Some(5_400_000)),
            ("1d", Some(86_400_000)),
            ("250ms", Some(250)),
            ("-1", Some(-1_000)),
            ("1.5h", None),
            ("30m1h", None),
            ("x", None),
            ("NaN", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
