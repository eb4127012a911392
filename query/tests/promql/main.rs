//! The PromQL engine from outside: test scripts, Prometheus's own among them, and naive oracles over random data.

mod api;
mod grafana;
mod oracle;
mod random;
mod rule_files;
mod script;
mod store_source;
mod world;

use std::path::Path;

use query::promql::{self, MemorySource, Options, Plan, Steps, Value};
use script::Report;

#[test]
fn own_scripts() {
    let report = run(&promqltest::own(), false);
    println!("own scripts: {report}");
    assert_eq!(report.failures, Vec::<String>::new(), "{report}");
    // Our own scripts hold only what exists, and enough of it.
    assert_eq!(report.skipped.values().sum::<usize>(), 0, "{:?}", report.skipped);
    assert!(report.passed >= 100, "{report}");
}

#[test]
fn scripts_with_names_that_wait() {
    let report = run(&promqltest::own().join("delayed"), true);
    assert_eq!(report.failures, Vec::<String>::new(), "{report}");
    assert!(report.passed >= 30 && report.skipped.is_empty(), "{report}");
}

#[test]
fn scripts_of_prometheus() {
    let Some(directory) = promqltest::cases("promqltest") else {
        println!("skipped: no cases");
        return;
    };
    let report = run(&directory, false);
    println!("scripts of Prometheus: {report}");
    for (reason, count) in &report.skipped {
        println!("  skipped {count:4}: {reason}");
    }
    assert_eq!(report.failures, Vec::<String>::new(), "{report}");
    assert!(report.passed > 0, "{report}");
}

/// Rule tests have an evaluation interval of their own; a plan is made once for all of it.
#[test]
fn subqueries_without_a_step_take_the_askers() {
    let mut source = MemorySource::new();
    source.load("m{l=\"a\"}", "0+1x60", 0, 10_000).expect("the notation is right");
    let plan = Plan::new("count_over_time(m[5m:]) or vector(time())").expect("the query is right");
    for (step, at, expected) in [(60_000, 600_000, 5.0), (30_000, 600_000, 10.0), (30_000, 100_000, 4.0)] {
        let options = Options { subquery_step_ms: step, ..promqltest::options() };
        let answer = promql::instant_plan(&source, &plan, at, &options).expect("the query is answered");
        let Value::Vector(vector) = answer.value else { panic!("{:?}", answer.value) };
        let number = |point: &promql::Point| match point.element {
            promql::Element::Number(value) => value,
            promql::Element::Histogram(_) => f64::NAN,
        };
        let values: Vec<f64> = vector.iter().map(|(_, point)| number(point)).collect();
        assert_eq!(values, [at as f64 / 1000.0, expected], "a step of {step} ms at {at}");
    }
}

/// As deep as the limit allows, in every direction the syntax tree can grow, on a stack as small as those of the threads that
/// queries run on.
#[test]
fn the_deepest_queries_fit_the_stack() {
    let depth = promql::limits::OPERATORS_MAX;
    let source = MemorySource::new();
    let queries = [
        format!("{}1{}", "(".repeat(depth), ")".repeat(depth)),
        format!("{}up", "-".repeat(depth)),
        format!("up{}", " + up".repeat(depth)),
        format!("up{}", " ^ up".repeat(depth)),
        format!("{}up{}", "sum(".repeat(depth), ")".repeat(depth)),
        format!("1{}", " - 1".repeat(depth)),
        format!("up{}", " or up".repeat(depth)),
        format!("{}up{}", "abs(".repeat(depth), ")".repeat(depth)),
        format!("{}up{}", "absent(".repeat(depth), ")".repeat(depth)),
        format!("{}1{}", "scalar(vector(".repeat(depth / 2), "))".repeat(depth / 2)),
        format!("up{}", " + on () group_left () up".repeat(depth / 3)),
        format!("{}up{}", "avg_over_time(".repeat(depth / 2), "[1m:1m])".repeat(depth / 2)),
    ];
    let work = move || {
        for query in queries {
            let steps = Steps::range(0, 120_000, 60_000).expect("three steps");
            let answer = promql::range(&source, &query, steps, &promqltest::options());
            assert!(answer.is_ok(), "{query}: {answer:?}");
            let deeper = format!("{}{query}{}", "(".repeat(depth), ")".repeat(depth));
            assert!(promql::range(&source, &deeper, steps, &promqltest::options()).is_err(), "{deeper}");
        }
    };
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).expect("a thread");
    thread.join().expect("no query fails or overflows");
}

fn run(directory: &Path, delays_names: bool) -> Report {
    let mut report = Report::default();
    for (name, text) in promqltest::scripts(directory).expect("the scripts can be read") {
        let before = report.passed;
        script::run(&name, &text, delays_names, &mut report);
        println!("  {name}: {} agree", report.passed - before);
    }
    report
}
