//! Functions over ranges, of stored samples and of subqueries, recomputed from the raw samples.

use fastrand::Rng;
use query::promql::is_stale;

use super::{Raw, SEEDS, World, assert_same, fold, newest, random_steps};

#[test]
fn windows_and_subqueries() {
    for seed in 0..SEEDS / 2 {
        check_windows(&World::random(seed), seed);
    }
}

fn check_windows(world: &World, seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0x71D);
    let steps = random_steps(&mut rng);
    let (range, step) = (rng.i64(1..600), rng.i64(5..90));
    let window = |raw: &Raw, end: i64| -> Raw {
        let inside = |sample: &&(i64, f64)| sample.0 > end - range * 1000 && sample.0 <= end && !is_stale(sample.1);
        raw.iter().filter(inside).copied().collect()
    };
    let computed = |raw: &Raw, end: i64| -> Raw {
        let first = (end - range * 1000).div_euclid(step * 1000) + 1;
        let multiples = (first..=end.div_euclid(step * 1000)).map(|number| number * step * 1000);
        multiples.filter_map(|time| newest(raw, time).map(|value| (time, value))).collect()
    };
    for function in OVER_TIME {
        let context = format!("{function}, world {}, query {seed}, [{range}s:{step}s]", world.rng_seed);
        // These two give a sample of the series, and keep its name.
        let keeps_name = ["last_over_time", "first_over_time"].contains(&function);
        let got = world.run(&format!("{function}(m_total[{range}s])"), steps);
        let expected = world.naive(steps, keeps_name, |raw, time| over(function, &window(raw, time)));
        assert_same(&got, &expected, 1e-9, &context);
        let got = world.run(&format!("{function}(m_total[{range}s:{step}s])"), steps);
        let expected = world.naive(steps, keeps_name, |raw, time| over(function, &computed(raw, time)));
        assert_same(&got, &expected, 1e-9, &context);
    }
}

const OVER_TIME: [&str; 12] = [
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "stdvar_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "changes",
    "resets",
    "deriv",
];

fn over(function: &str, window: &Raw) -> Option<f64> {
    let values: Vec<f64> = window.iter().map(|sample| sample.1).collect();
    let (first, last) = (values.first()?, values.last()?);
    let count = values.len() as f64;
    let pairs = |counts: &dyn Fn(f64, f64) -> bool| {
        values.iter().zip(&values[1..]).filter(|(before, after)| counts(**before, **after)).count() as f64
    };
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
    Some(match function {
        "sum_over_time" => fold("sum", &values),
        "avg_over_time" => fold("avg", &values),
        "min_over_time" => fold("min", &values),
        "max_over_time" => fold("max", &values),
        "count_over_time" => count,
        "stdvar_over_time" => {
            let middle = mean(&mut values.iter().copied());
            mean(&mut values.iter().map(|value| (value - middle).powi(2)))
        }
        "last_over_time" => *last,
        "first_over_time" => *first,
        "present_over_time" => 1.0,
        "changes" => pairs(&|before, after| before != after && !(before.is_nan() && after.is_nan())),
        "resets" => pairs(&|before, after| after < before),
        _ if values.len() < 2 => return None,
        // The slope through the middle of the samples.
        _ => {
            let seconds = |sample: &(i64, f64)| (sample.0 - window[0].0) as f64 / 1000.0;
            let middle_x = mean(&mut window.iter().map(seconds));
            let middle_y = mean(&mut values.iter().copied());
            let above: f64 = window.iter().map(|sample| (seconds(sample) - middle_x) * (sample.1 - middle_y)).sum();
            above / window.iter().map(|sample| (seconds(sample) - middle_x).powi(2)).sum::<f64>()
        }
    })
}
