//! Set operators and `group_left`, recomputed from what each series has at each step.

use fastrand::Rng;
use model::Labels;

use super::{Matrix, SEEDS, World, assert_same, newest, random_steps};

#[test]
fn sets_and_groups() {
    for seed in 0..SEEDS {
        check_sets(&World::random(seed), seed);
    }
}

/// Set operators and `group_left`, from what each series has at each step.
fn check_sets(world: &World, seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0x5E75);
    let steps = random_steps(&mut rng);
    // The right side looks like the left, a while ago: mostly the same series, at other steps.
    let back = rng.i64(1..400) * 1000;
    let right = format!("m_total{{id=~\"[0-4]\"}} offset {}s", back / 1000);
    let is_right = |labels: &Labels| labels.get("id").is_some_and(|id| id.len() == 1 && id < "5");
    for (on, keys) in [("", &["group", "id"][..]), ("on (group)", &["group"]), ("ignoring (group)", &["id"])] {
        let key = |labels: &Labels| labels.filter(|name| keys.contains(&name));
        let met = |of: &Labels, time: i64, back: i64, right: bool| {
            world.series.iter().any(|(labels, raw)| {
                (!right || is_right(labels)) && key(labels) == key(of) && newest(raw, time - back).is_some()
            })
        };
        for operator in ["and", "unless", "or"] {
            let mut expected = Matrix::new();
            for (labels, raw) in &world.series {
                for time in steps.iter() {
                    let left = newest(raw, time);
                    let value = match operator {
                        "and" => left.filter(|_| met(labels, time, back, true)),
                        "unless" => left.filter(|_| !met(labels, time, back, true)),
                        _ => left.or_else(|| {
                            let right = newest(raw, time - back).filter(|_| is_right(labels));
                            right.filter(|_| !met(labels, time, 0, false))
                        }),
                    };
                    if let Some(value) = value {
                        expected.entry(labels.clone()).or_default().push((time, value));
                    }
                }
            }
            let query = format!("m_total {operator} {on} {right}");
            assert_same(&world.run(&query, steps), &expected, 0.0, &format!("{query}, world {seed}"));
        }
    }
    let sum_of_group = |of: &Labels, time: i64| -> f64 {
        let members = world.series.iter().filter(|(labels, _)| labels.get("group") == of.get("group"));
        members.filter_map(|(_, raw)| newest(raw, time)).sum()
    };
    let mut expected = Matrix::new();
    for (labels, raw) in &world.series {
        for time in steps.iter() {
            if let Some(value) = newest(raw, time) {
                let share = value / sum_of_group(labels, time);
                expected.entry(labels.without_name()).or_default().push((time, share));
            }
        }
    }
    for query in [
        "m_total / on (group) group_left sum by (group) (m_total)",
        "m_total / ignoring (id) group_left () sum without (id) (m_total)",
        "1 / (sum by (group) (m_total) / on (group) group_right m_total)",
    ] {
        assert_same(&world.run(query, steps), &expected, 1e-9, &format!("{query}, world {seed}"));
    }
}
