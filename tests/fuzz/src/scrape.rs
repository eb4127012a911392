//! What targets answer, and the file that says who they are.

use std::path::Path;
use std::sync::Arc;

use collector::scrape::config::{Config, Job};
use collector::scrape::exposition::Format;
use collector::scrape::known::{Asked, Known, Room};
use collector::scrape::labels::{LabelSet, Labels};
use collector::scrape::target::of_group;

use super::replay::Target;

/// The targets by the names of their corpora.
pub const TARGETS: [Target; 3] =
    [("exposition_text", text), ("exposition_openmetrics", openmetrics), ("scrape_config", scrape_config)];

fn text(bytes: &[u8]) {
    exposition(bytes, Format::Text);
}

fn openmetrics(bytes: &[u8]) {
    exposition(bytes, Format::OpenMetrics);
}

fn exposition(bytes: &[u8], format: Format) {
    let job = Job::named("fuzz");
    let labels: LabelSet = Labels::of([("job", "fuzz"), ("instance", "target:1")]).finish();
    let mut known = Known::default();
    let ask = |known: &mut Known, at_millis| {
        let (harvest, read) =
            known.take(bytes, format, Asked { job: &job, labels: &labels, at_millis, room: Room::ENDLESS });
        let left_out = harvest.left_out;
        let out = left_out.duplicates + left_out.out_of_order + left_out.ahead;
        assert!(harvest.kept <= harvest.scraped && harvest.samples.len() as u64 + out <= harvest.kept);
        for taken in &harvest.samples {
            let names: Vec<&str> = taken.series.labels.iter().map(|(name, _)| name).collect();
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "names are sorted, and each is there once");
            assert!(names.contains(&"__name__") && names.contains(&"job") && names.contains(&"instance"));
        }
        match &read {
            Ok(()) => known.stored(harvest.alive),
            Err(fault) => assert!(!fault.to_string().is_empty() && fault.to_string().len() < 2_000),
        }
        (read.is_ok(), harvest.added, harvest.scraped)
    };
    let (is_right, _, scraped) = ask(&mut known, 1_800_000_000_000);
    let (is_right_again, added, scraped_again) = ask(&mut known, 1_800_000_015_000);
    assert_eq!((is_right, scraped), (is_right_again, scraped_again), "the same body is the same");
    assert!(!is_right || added == 0, "nothing is new the second time");
}

fn scrape_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::parse("fuzz.yml", text, Path::new("/nonexistent")) {
        Err(error) => assert!(!error.message.is_empty() && error.line > 0, "what is refused has a reason and a line"),
        Ok(config) => {
            for job in config.jobs {
                let job = Arc::new(job);
                job.static_groups.iter().for_each(|group| of_group(&job, group).for_each(drop));
            }
        }
    }
}
