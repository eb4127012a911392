//! Whether two answers say the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::grammar::Order;

/// How far numbers may be apart, of the greater.
const RELATIVE: f64 = 1e-12;

/// Why answers are not equal; nothing if they are.
pub fn difference(theirs: &Value, ours: &Value, order: &Order) -> Option<String> {
    if theirs["status"] != ours["status"] || theirs["errorType"] != ours["errorType"] {
        return Some("one is an error, or of another type".to_owned());
    }
    if theirs["status"] == "error" {
        return None;
    }
    let (theirs, ours) = (&theirs["data"], &ours["data"]);
    if theirs["resultType"] != ours["resultType"] {
        return Some("the types differ".to_owned());
    }
    let kind = theirs["resultType"].as_str().unwrap_or_default();
    let (theirs, ours) = (&theirs["result"], &ours["result"]);
    match kind {
        "scalar" | "string" => (!close_samples(theirs, ours)).then(|| "the values differ".to_owned()),
        _ => series(theirs, ours, order),
    }
}

/// Whether warnings and infos say the same at the same places. Which ten of many are named is not said anywhere, and that there is
/// no name Prometheus no longer says.
pub fn same_remarks(theirs: &Value, ours: &Value) -> bool {
    ["warnings", "infos"].iter().all(|key| {
        let [theirs, ours] = [theirs, ours].map(|answer| {
            let texts = answer[*key].as_array().cloned().unwrap_or_default();
            let text = |text: &Value| text.as_str().unwrap_or_default().replace(" for metric name \"\"", "");
            texts.iter().map(text).collect::<BTreeSet<String>>()
        });
        let omitted = |texts: &BTreeSet<String>| texts.iter().find(|text| text.ends_with("omitted")).cloned();
        theirs == ours || (omitted(&theirs).is_some() && omitted(&theirs) == omitted(&ours))
    })
}

fn series(theirs: &Value, ours: &Value, order: &Order) -> Option<String> {
    let empty = Vec::new();
    let (theirs, ours) = (theirs.as_array().unwrap_or(&empty), ours.as_array().unwrap_or(&empty));
    let by_labels = |all: &[Value]| -> BTreeMap<String, Value> {
        all.iter().map(|series| (series["metric"].to_string(), series.clone())).collect()
    };
    let (their_set, our_set) = (by_labels(theirs), by_labels(ours));
    if their_set.len() != theirs.len() || our_set.len() != ours.len() {
        return Some("a series is there twice".to_owned());
    }
    if let Some(missing) = their_set.keys().find(|labels| !our_set.contains_key(*labels)) {
        return Some(format!("Sextant has no {missing}"));
    }
    if let Some(more) = our_set.keys().find(|labels| !their_set.contains_key(*labels)) {
        return Some(format!("Prometheus has no {more}"));
    }
    for (labels, theirs) in &their_set {
        let ours = &our_set[labels];
        for key in ["value", "values", "histogram", "histograms"] {
            if let Some(reason) = samples(&theirs[key], &ours[key], key) {
                return Some(format!("{labels}: {reason}"));
            }
        }
    }
    let in_order = match order {
        Order::None => true,
        // Among equals there is none.
        Order::Values => {
            theirs.iter().zip(ours).all(|(one, other)| close_samples(&one["value"][1], &other["value"][1]))
        }
        Order::Labels(labels) => {
            let of = |series: &Value| -> Vec<String> {
                labels.iter().map(|label| series["metric"][label].as_str().unwrap_or_default().to_owned()).collect()
            };
            let are_there = theirs.iter().all(|series| of(series).iter().all(|value| !value.is_empty()));
            !are_there || theirs.iter().zip(ours).all(|(one, other)| of(one) == of(other))
        }
    };
    (!in_order).then(|| "the orders differ".to_owned())
}

fn samples(theirs: &Value, ours: &Value, key: &str) -> Option<String> {
    let differ = |theirs: &Value, ours: &Value| format!("{key} {theirs} against {ours}");
    match (theirs.as_array(), ours.as_array()) {
        (None, None) => None,
        (Some(all), Some(others)) if key.ends_with('s') => {
            if all.len() != others.len() {
                return Some(format!("{} {key} against {}", all.len(), others.len()));
            }
            let pairs = all.iter().zip(others);
            pairs.into_iter().find(|(one, other)| !close_samples(one, other)).map(|(one, other)| differ(one, other))
        }
        _ => (!close_samples(theirs, ours)).then(|| differ(theirs, ours)),
    }
}

// A sample, or whatever is in it.
fn close_samples(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| close_samples(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| close_samples(one, other)))
        }
        (Value::String(one), Value::String(other)) => one == other || close_numbers(one, other),
        _ => one == other,
    }
}

fn close_numbers(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (one.parse::<f64>(), other.parse::<f64>()) else { return false };
    let near = || (one - other).abs() <= RELATIVE * one.abs().max(other.abs());
    one == other || (one.is_finite() && other.is_finite() && near())
}

#[test]
fn numbers_are_close_and_only_numbers() {
    for (one, other, close) in [
        ("1", "1", true),
        ("1", "1.0000000000001", true),
        ("1", "1.00000000001", false),
        ("NaN", "NaN", true),
        ("NaN", "1", false),
        ("+Inf", "+Inf", true),
        ("+Inf", "-Inf", false),
        ("0", "-0", true),
        ("0", "1e-300", false),
        ("a", "b", false),
    ] {
        assert_eq!(close_samples(&one.into(), &other.into()), close, "{one} {other}");
    }
}
