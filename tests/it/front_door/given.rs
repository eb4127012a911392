//! What an answer over HTTP says, as scripts look at it.

use model::Labels;
use model::wire::prom::{Histogram, QueryData, Response};
use promqltest::{Answer, Failure, Given, Seen, Shown};

/// Reads an answer. What Prometheus's API never answers is a mistake of the server.
pub fn answer(answer: &tui::client::Answer) -> Result<Answer, Failure> {
    let text = String::from_utf8_lossy(&answer.body);
    let response: Response<QueryData> =
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {text}"));
    let Response { data, error_type, error, warnings, infos, .. } = response;
    match (answer.status, data, error_type, error) {
        (200, Some(data), None, None) => Ok(Answer { given: given(data), warnings, infos }),
        (400, None, Some(kind), Some(message)) if kind == "bad_data" => Err(Failure { message, in_execution: false }),
        (422, None, Some(kind), Some(message)) if kind == "execution" => Err(Failure { message, in_execution: true }),
        (status, ..) => panic!("{status}: {text}"),
    }
}

fn given(data: QueryData) -> Given {
    match data {
        QueryData::String((_, text)) => Given::Text(text),
        QueryData::Scalar((_, text)) => Given::Scalar(number(&text)),
        QueryData::Vector(all) => {
            let series = all.into_iter().map(|series| {
                let seen = match (series.value, series.histogram) {
                    (Some((_, value)), None) => Seen::Number(number(&value)),
                    (None, Some((_, histogram))) => Seen::Shown(shown(&histogram)),
                    both => panic!("{both:?} of {:?}", series.metric),
                };
                (Labels::new(series.metric), seen)
            });
            Given::Vector(series.collect())
        }
        QueryData::Matrix(all) => {
            let series = all.into_iter().map(|series| {
                let numbers = series.values.iter().map(|(time, value)| (millis(*time), Seen::Number(number(value))));
                let histograms = series.histograms.iter();
                let histograms = histograms.map(|(time, shape)| (millis(*time), Seen::Shown(shown(shape))));
                let mut samples: Vec<(i64, Seen)> = numbers.chain(histograms).collect();
                samples.sort_by_key(|(time, _)| *time);
                (Labels::new(series.metric), samples)
            });
            Given::Matrix(series.collect())
        }
    }
}

fn shown(histogram: &Histogram) -> Shown {
    let buckets = histogram.buckets.iter();
    let buckets = buckets.map(|(ends, lower, upper, count)| (*ends, number(lower), number(upper), number(count)));
    Shown { count: number(&histogram.count), sum: number(&histogram.sum), buckets: buckets.collect() }
}

fn millis(seconds: f64) -> i64 {
    (seconds * 1_000.0).round() as i64
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}
