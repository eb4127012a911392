//! Which formats a target is asked for, and which one it answers in.

use super::config::Job;
use super::exposition::Format;

/// What `Accept` says: what the job wants, the first most, and then anything.
pub(super) fn accept(job: &Job) -> String {
    let mut weight = job.protocols.len() + 1;
    let mut parts = Vec::with_capacity(weight);
    for media_type in job.protocols.iter().map(|protocol| protocol.media_type()).chain(["*/*"]) {
        parts.push(format!("{media_type};q=0.{weight}"));
        weight = weight.saturating_sub(1);
    }
    parts.join(",")
}

/// By the media type alone: the versions of a format are read alike.
pub(super) fn format_of(content_type: &str) -> Option<Format> {
    match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/openmetrics-text" => Some(Format::OpenMetrics),
        "text/plain" => Some(Format::Text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_negotiated_as_prometheus_does() {
        let job = Job::named("j");
        assert_eq!(
            accept(&job),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
        );
        for (content_type, expected) in [
            ("text/plain; version=0.0.4; charset=utf-8", Some(Format::Text)),
            ("TEXT/PLAIN", Some(Format::Text)),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", Some(Format::OpenMetrics)),
            ("application/vnd.google.protobuf", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(format_of(content_type), expected, "{content_type}");
        }
    }
}
