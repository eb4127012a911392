//! Questions to Prometheus's API, of whoever answers it, as forms.

use promqltest::When;
use tui::Client;
use tui::client::Answer;

/// The media type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Asks `query` or `query_range`.
pub async fn post_query(client: &Client, query: &str, when: When) -> Answer {
    let (path, times) = match when {
        When::Instant(time) => ("/api/v1/query", vec![("time", time)]),
        When::Range(start, end, step) => ("/api/v1/query_range", vec![("start", start), ("end", end), ("step", step)]),
    };
    let times: Vec<(&str, String)> = times.into_iter().map(|(name, millis)| (name, seconds(millis))).collect();
    let pairs: Vec<(&str, &str)> =
        [("query", query)].into_iter().chain(times.iter().map(|(name, time)| (*name, time.as_str()))).collect();
    client.post(path, FORM, form(&pairs).into()).await.expect("an answer")
}

/// A form.
pub fn form(pairs: &[(&str, &str)]) -> String {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    pairs.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
}

fn seconds(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", millis.unsigned_abs() / 1_000, millis.unsigned_abs() % 1_000)
}

#[test]
fn seconds_have_all_digits() {
    for (millis, expected) in [(0, "0.000"), (1_500, "1.500"), (-1, "-0.001"), (-60_020, "-60.020")] {
        assert_eq!(seconds(millis), expected);
    }
}
