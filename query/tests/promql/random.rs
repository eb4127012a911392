//! Random expressions over random series: a range query has to give at each of its steps what an instant query gives there, and
//! to fail exactly if one of those does. The two go through the same nodes with columns of different lengths.

use std::collections::BTreeMap;

use fastrand::Rng;
use model::Labels;
use query::promql::{self, Element, Plan, PromqlError, Steps, Value};

use crate::oracle::{World, random_steps};
use promqltest::options;

const SEEDS: u64 = 40;

#[test]
fn ranges_are_instants_side_by_side() {
    let (mut answered, mut empty, mut failed) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed ^ 0x5EED);
        let world = World::random(seed);
        for _ in 0..12 {
            let query = vector(&mut rng, 3);
            let steps = few(random_steps(&mut rng));
            match check(&world, &query, steps) {
                Some(0) => empty += 1,
                Some(_) => answered += 1,
                None => failed += 1,
            }
        }
    }
    println!("random expressions: {answered} answered, {empty} of them with nothing, {failed} failed alike");
    assert!(answered > empty + failed, "{answered} answered, {empty} empty, {failed} failed");
}

// How many series come out; `None` if both fail.
fn check(world: &World, query: &str, steps: Steps) -> Option<usize> {
    let plan = Plan::new(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let range = promql::range_plan(&world.source, &plan, steps, &options());
    let mut expected: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
    for time in steps.iter() {
        match promql::instant_plan(&world.source, &plan, time, &options()) {
            Ok(answer) => {
                let Value::Vector(vector) = answer.value else { panic!("{query} gives no vector") };
                for (labels, point) in vector {
                    let Element::Number(value) = point.element else { panic!("{query} gives a histogram") };
                    expected.entry(labels).or_default().push((time, value));
                }
            }
            Err(PromqlError::Execution(_)) => {
                assert!(range.is_err(), "{query} fails at {time}, but not as a range");
                return None;
            }
            Err(error) => panic!("{query}: {error}"),
        }
    }
    let answer = range.unwrap_or_else(|error| panic!("{query} fails as a range only: {error}"));
    let Value::Matrix(matrix) = answer.value else { panic!("{query} gives no matrix") };
    let got: Vec<(Labels, Vec<(i64, f64)>)> = matrix
        .into_iter()
        .map(|(labels, points)| (labels, points.numbers.iter().map(|sample| (sample.time, sample.value)).collect()))
        .collect();
    let same = got.len() == expected.len()
        && got.iter().zip(&expected).all(|(a, b)| {
            let samples = |a: &[(i64, f64)], b: &[(i64, f64)]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && close(a.1, b.1))
            };
            a.0 == *b.0 && samples(&a.1, b.1)
        });
    assert!(same, "{query}\n  as a range {got:?}\n  as instants {expected:?}");
    Some(got.len())
}

// Groups are summed in the order in which series come, which is not always the same.
fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn few(steps: Steps) -> Steps {
    let end = steps.first() + (steps.last() - steps.first()).min(600_000);
    Steps::range(steps.first(), end, 60_000).expect("few steps")
}

fn pick<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(0..of.len())]
}

fn selector(rng: &mut Rng) -> String {
    let matchers = pick(rng, &["", "{group=\"a\"}", "{id=~\"[0-5]\"}", "{group!=\"b\"}"]);
    let when = pick(rng, &["", "", " offset 3m", " offset -2m", " @ 900"]);
    format!("m_total{matchers}{when}")
}

fn vector(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 {
        return selector(rng);
    }
    let inner = |rng: &mut Rng| vector(rng, depth - 1);
    match rng.usize(0..14) {
        0 => selector(rng),
        1 => {
            let function = pick(
                rng,
                &[
                    "rate",
                    "increase",
                    "delta",
                    "irate",
                    "idelta",
                    "changes",
                    "resets",
                    "deriv",
                    "sum_over_time",
                    "avg_over_time",
                    "min_over_time",
                    "max_over_time",
                    "count_over_time",
                    "stddev_over_time",
                    "stdvar_over_time",
                    "mad_over_time",
                    "last_over_time",
                    "first_over_time",
                    "present_over_time",
                ],
            );
            format!("{function}({})", range(rng, depth))
        }
        2 => format!("quantile_over_time({}, {})", scalar(rng, depth), range(rng, depth)),
        3 => format!("predict_linear({}, {})", range(rng, depth), scalar(rng, depth)),
        4 => {
            let function = pick(rng, &["abs", "ceil", "floor", "sgn", "sqrt", "-", "hour", "timestamp", "round"]);
            format!("{function}({})", inner(rng))
        }
        5 => format!("clamp({}, {}, {})", inner(rng), scalar(rng, depth), scalar(rng, depth)),
        6 | 7 => {
            let function = pick(rng, &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
            format!("{function} {} ({})", grouping(rng), inner(rng))
        }
        8 => {
            let function = pick(rng, &["topk", "bottomk"]);
            format!("{function} {} ({}, {})", grouping(rng), rng.usize(0..4), inner(rng))
        }
        9 => format!("quantile {} ({}, {})", grouping(rng), scalar(rng, depth), inner(rng)),
        10 => {
            let operator = pick(rng, &["and", "or", "unless", "and on (group)", "or on (group)", "unless on (id)"]);
            format!("({} {operator} {})", inner(rng), inner(rng))
        }
        11 => {
            let operator = pick(rng, &["+", "-", "*", "/", "%", "^", "atan2", ">", "<=", "== bool", "> bool"]);
            format!("({} {operator} {})", inner(rng), scalar(rng, depth))
        }
        12 => {
            let operator = pick(rng, &["+", "-", "/", ">", "< bool", "!="]);
            let many = inner(rng);
            let one = format!("sum by (group) ({})", inner(rng));
            match rng.bool() {
                true => format!("({many} {operator} on (group) group_left () {one})"),
                false => format!("({one} {operator} on (group) group_right () {many})"),
            }
        }
        _ => match rng.usize(0..4) {
            0 => format!("absent({})", inner(rng)),
            1 => format!("label_replace({}, \"copy\", \"$1\", \"id\", \"(.)\")", inner(rng)),
            2 => format!("label_join({}, \"both\", \"-\", \"group\", \"id\")", inner(rng)),
            _ => format!("count_values {} (\"value\", floor({} / 50))", grouping(rng), inner(rng)),
        },
    }
}

fn range(rng: &mut Rng, depth: usize) -> String {
    if rng.bool() {
        let matchers = pick(rng, &["", "{group=\"a\"}"]);
        let when = pick(rng, &["", "", " offset 1m", " @ 700"]);
        return format!("m_total{matchers}[{}s]{when}", rng.i64(20..400));
    }
    let when = pick(rng, &["", "", " offset 1m", " offset -1m", " @ 700"]);
    format!("({})[{}s:{}s]{when}", vector(rng, depth - 1), rng.i64(50..400), rng.i64(20..120))
}

fn scalar(rng: &mut Rng, depth: usize) -> String {
    match rng.usize(0..4) {
        0 => format!("{}", rng.f64()),
        1 => "time()".to_owned(),
        2 => format!("scalar({})", vector(rng, depth - 1)),
        _ => format!("(time() % {})", rng.i64(1..100)),
    }
}

fn grouping(rng: &mut Rng) -> &'static str {
    pick(rng, &["", "by (group)", "by (id, group)", "without (id)", "by (__name__)"])
}
