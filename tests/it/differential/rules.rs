//! What Sextant answers otherwise than Prometheus 3.5, on purpose: each rule with a question that shows it.
//!
//! The random questions stay clear of these, and of what is no answer there: `info` gives series of a target that nothing describes the
//! labels of another target, one time so and another time so; a zero bucket that has to grow into the middle of another counts
//! some observations twice; quantiles of histograms that hold less than nothing, and `sort_by_label` of series without the label, are
//! whatever falls out.

use promqltest::When;
use serde_json::Value as Json;

use super::world::BEGIN;
use super::{Pair, ask};
use crate::harness::Place;
use crate::prometheus;
use crate::wire::{Native, Series, Value};

/// A question, and what becomes of it there and here.
struct Rule {
    name: &'static str,
    query: &'static str,
    theirs: &'static [&'static str],
    ours: &'static [&'static str],
}

// All at ten minutes after the beginning; samples are a minute apart.
const RULES: &[Rule] = &[
    Rule {
        name: "the rate of a native histogram does not reach back to where there was less than nothing, as in later versions",
        query: "histogram_count(increase(native{kind=\"young\"}[10m30s]))",
        theirs: &["{\"kind\":\"young\"} 10.5"],
        ours: &["{\"kind\":\"young\"} 10"],
    },
    Rule {
        name: "histograms whose bounds differ are added up by the bounds that both have, as in later versions",
        query: "histogram_count(sum(custom{kind=~\"some|other\"}))",
        theirs: &[],
        ours: &["{} 30"],
    },
    Rule {
        name: "a share that begins in the first bucket is one, as in later versions",
        query: "histogram_fraction(-1, 1, classic_bucket)",
        theirs: &["{} NaN"],
        ours: &["{} 0.5"],
    },
    Rule {
        name: "a custom bucket around zero is as wide as its bounds say",
        query: "histogram_fraction(-Inf, 1, custom{kind=\"around\"})",
        theirs: &["{\"kind\":\"around\"} 0.75"],
        ours: &["{\"kind\":\"around\"} 0.8333333333333333"],
    },
    Rule {
        name: "a deviation among values that are not all numbers is none, as in later versions",
        query: "mad_over_time(gauge{kind=\"nan\"}[4m])",
        theirs: &["{\"kind\":\"nan\"} 1"],
        ours: &["{\"kind\":\"nan\"} NaN"],
    },
    Rule {
        name: "an offset counts once, also behind @ and within timestamp",
        query: "timestamp(gauge{kind=\"one\"} @ end() offset 5m) - time()",
        theirs: &[],
        ours: &["{\"kind\":\"one\"} -300"],
    },
    Rule {
        name: "an operator behind an offset in brackets is one of values, not of durations",
        query: "gauge{kind=\"one\"} offset (1m) * 5",
        theirs: &["{\"__name__\":\"gauge\",\"kind\":\"one\"} 5"],
        ours: &["{\"kind\":\"one\"} 45"],
    },
    Rule {
        name: "limitk takes the first by their labels; Prometheus those that came first",
        query: "limitk(1, late or gauge{kind=\"one\"} or gauge{kind=\"two\"})",
        theirs: &["{\"__name__\":\"late\"} 10"],
        ours: &["{\"__name__\":\"gauge\",\"kind\":\"one\"} 10"],
    },
    Rule {
        name: "topk takes the first by their labels among equals",
        query: "topk(1, late or gauge{kind=\"one\"})",
        theirs: &["{\"__name__\":\"late\"} 10"],
        ours: &["{\"__name__\":\"gauge\",\"kind\":\"one\"} 10"],
    },
    Rule {
        name: "what is no time is taken for the time 0; Prometheus has another number on each processor",
        query: "month(gauge{kind=\"nan\"} * NaN)",
        theirs: &["{\"kind\":\"nan\"} 12"],
        ours: &["{\"kind\":\"nan\"} 1"],
    },
    Rule {
        name: "bounds of buckets are rounded to the nearest number; Prometheus has a table",
        query: "count_values(\"value\", native{kind=\"fine\"})",
        theirs: &["{\"value\":\"{count:20, sum:10, (0.7071067811865475,1]:10, (1,1.414213562373095]:10}\"} 1"],
        ours: &["{\"value\":\"{count:20, sum:10, (0.7071067811865476,1]:10, (1,1.4142135623730951]:10}\"} 1"],
    },
];

const MINUTE: i64 = 60_000;

fn series(name: &str, kind: &str, value: impl Fn(u64) -> Value) -> Series {
    let labels = [("__name__", name), ("kind", kind)].into_iter().filter(|(_, value)| !value.is_empty());
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let samples = (0u64..=10).map(|minute| (BEGIN + MINUTE * minute as i64, value(minute))).collect();
    Series { labels, samples, counts: false }
}

fn data() -> Vec<Series> {
    let native = |schema: i32, positive: &[(i32, u64)], bounds: &[f64]| {
        let (positive, bounds) = (positive.to_vec(), bounds.to_vec());
        Value::Native(Native { schema, sum: 10.0, positive, bounds, ..Native::default() })
    };
    let number = |minute: u64| Value::Number(minute as f64);
    let mut all = vec![
        series("native", "young", |minute| native(0, &[(1, minute)], &[])),
        series("native", "fine", |minute| native(1, &[(0, minute), (1, minute)], &[])),
        series("custom", "some", |minute| native(0, &[(0, minute)], &[1.0, 2.0])),
        series("custom", "other", |minute| native(0, &[(0, minute), (1, minute)], &[1.0, 3.0])),
        series("custom", "around", |minute| native(0, &[(0, minute), (1, minute)], &[-1.0, 2.0])),
        series("gauge", "one", number),
        series("gauge", "two", number),
        series("gauge", "nan", |minute| Value::Number(if minute == 8 { f64::NAN } else { minute as f64 })),
    ];
    for (bound, share) in [("1", 1), ("+Inf", 2)] {
        let mut bucket = series("classic_bucket", "", |minute| Value::Number((minute * share) as f64));
        bucket.labels.insert("le".to_owned(), bound.to_owned());
        all.push(bucket);
    }
    all.insert(0, series("late", "", number));
    all
}

// A series a line: its labels, and its value.
fn lines(answer: &Json) -> Vec<String> {
    let mut lines: Vec<String> = answer["data"]["result"]
        .as_array()
        .unwrap_or_else(|| panic!("no series: {answer}"))
        .iter()
        .map(|series| format!("{} {}", series["metric"], series["value"][1].as_str().unwrap_or("?")))
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn what_is_answered_otherwise_has_a_rule() {
    let Some(binary) = prometheus::version_3_5() else {
        eprintln!("there is no apt to fetch Prometheus with: nothing is compared");
        return;
    };
    let place = Place::new();
    let pair = Pair::start(binary, &place, &data()).await;
    let mut wrong = Vec::new();
    for Rule { name, query, theirs, ours } in RULES {
        let when = When::Instant(BEGIN + 10 * MINUTE);
        for (who, client, expected) in [("Prometheus", &pair.prometheus.client, theirs), ("Sextant", &pair.ours, ours)]
        {
            let got = lines(&ask(client, query, when).await);
            if got != *expected {
                wrong.push(format!("{name}: {query}\n  {who} answers {got:?}\n  not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
