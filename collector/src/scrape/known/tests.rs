//! Bodies one after the other, and what comes of each.

use std::path::Path;

use super::*;
use crate::scrape::config::Config;
use crate::scrape::harvest::LeftOut;

struct World {
    job: Job,
    labels: LabelSet,
    known: Known,
    millis: i64,
    room: Room,
}

impl World {
    // Of a job with these keys.
    fn new(keys: &str) -> Self {
        let text = format!("scrape_configs:\n- job_name: j\n{keys}");
        let config = Config::parse("prometheus.yml", &text, Path::new("")).expect(keys);
        let labels = Labels::of([("job", "j"), ("instance", "i")]).finish();
        Self { job: config.jobs[0].clone(), labels, known: Known::default(), millis: 0, room: Room::ENDLESS }
    }

    fn take(&mut self, body: &str) -> (Harvest, Result<(), Fault>) {
        self.millis += 1000;
        let asked = Asked { job: &self.job, labels: &self.labels, at_millis: self.millis, room: self.room };
        let format = if body.contains("# EOF") { Format::OpenMetrics } else { Format::Text };
        self.known.take(body.as_bytes(), format, asked)
    }

    // The samples of a body that is right, and whose series end; it is stored.
    fn told(&mut self, body: &str) -> Vec<String> {
        let (harvest, read) = self.take(body);
        read.expect(body);
        let samples = harvest.samples.iter().map(|sample| {
            let exemplar = sample.exemplar.as_ref().map_or(String::new(), |exemplar| {
                format!(" # {} {} {}", text(&exemplar.labels), exemplar.value, exemplar.millis)
            });
            format!("{} = {} @ {}{exemplar}", text(&sample.series.labels), sample.value, sample.millis)
        });
        let mut ended: Vec<_> = self.known.ended(&harvest.alive).iter().map(|series| text(&series.labels)).collect();
        ended.sort();
        let told = samples.chain(ended.into_iter().map(|series| format!("{series} ends"))).collect();
        self.known.stored(harvest.alive);
        told
    }
}

fn text(labels: &LabelSet) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn labels_of_the_target_win_or_are_honoured() {
    let body = "a{job=\"x\",exported_job=\"y\",instance=\"\"} 1\n";
    let plain = World::new("").told(body);
    assert_eq!(plain, ["__name__=a exported_exported_job=x exported_job=y instance=i job=j = 1 @ 1000"]);
    let honoured = World::new("  honor_labels: true").told(body);
    // A label without a value says that there is to be none.
    assert_eq!(honoured, ["__name__=a exported_job=y job=x = 1 @ 1000"]);
}

#[test]
fn series_end_when_they_are_gone() {
    let mut world = World::new("");
    assert_eq!(world.told("a 1\nb 2\n").len(), 2);
    assert_eq!(world.told("a 1\n"), ["__name__=a instance=i job=j = 1 @ 2000", "__name__=b instance=i job=j ends"]);
    assert_eq!(world.told("a 1\n"), ["__name__=a instance=i job=j = 1 @ 3000"], "it ends once");
    // What was not stored did not end either.
    let (lost, _) = world.take("");
    assert_eq!(world.known.ended(&lost.alive).len(), 1);
    world.known.lost();
    assert_eq!(world.told(""), ["__name__=a instance=i job=j ends"]);
}

#[test]
fn series_that_come_with_times_do_not_end_unless_that_is_wanted() {
    let body = "a 1 500\n";
    let mut world = World::new("");
    assert_eq!(world.told(body), ["__name__=a instance=i job=j = 1 @ 500"]);
    assert!(world.told(body).is_empty(), "the same again is nothing new");
    assert!(world.told("").is_empty());
    let mut world = World::new("  track_timestamps_staleness: true");
    world.told(body);
    assert_eq!(world.told(""), ["__name__=a instance=i job=j ends"]);
    let mut world = World::new("  honor_timestamps: false");
    assert_eq!(world.told(body), ["__name__=a instance=i job=j = 1 @ 1000"]);
    assert_eq!(world.told(""), ["__name__=a instance=i job=j ends"]);
}

#[test]
fn what_cannot_be_right_is_left_out_and_counted() {
    let mut world = World::new("");
    world.told("a 1 500\n");
    let (harvest, read) = world.take("a 2 500\nb 1\nb 2\nc 1 700000\nd 1 500\nd 1 400\n");
    assert_eq!(read, Ok(()));
    let expected = LeftOut { duplicates: 1, out_of_order: 2, ahead: 1 };
    assert_eq!((harvest.left_out, harvest.samples.len(), harvest.scraped, harvest.kept), (expected, 2, 6, 6));
    let (harvest, read) = world.take(&format!("e 1 {}\nf 1 {}\n", i64::MIN, i64::MAX));
    assert_eq!((read, harvest.samples.len(), harvest.left_out.ahead), (Ok(()), 1, 1));
    // A scrape that was lost may have its times again.
    world.known.lost();
    assert_eq!(
        world.told("d 1 500\n"),
        ["__name__=d instance=i job=j = 1 @ 500", "__name__=b instance=i job=j ends"][..1]
    );
}

#[test]
fn relabelling_drops_renames_and_merges() {
    let mut world = World::new(
        "  metric_relabel_configs:\n  - {action: drop, source_labels: [__name__], regex: go_.*}\n  \
         - {action: labeldrop, regex: noise}\n  - {source_labels: [__name__], regex: old, target_label: __name__, replacement: new}",
    );
    let (harvest, read) = world.take("go_a 1\na{noise=\"1\"} 1\na{noise=\"2\"} 2\nold 3\n");
    assert_eq!(read, Ok(()));
    assert_eq!((harvest.scraped, harvest.kept, harvest.added, harvest.left_out.duplicates), (4, 3, 3, 1));
    let names: Vec<_> = harvest.samples.iter().map(|sample| sample.series.labels.get(NAME)).collect();
    assert_eq!(names, ["a", "new"]);
    assert_eq!(world.take("a 1\nb 1\n").0.added, 2, "a without noise is another line");
    let mut world = World::new("  metric_relabel_configs: [{target_label: __name__, replacement: ''}]");
    let (_, read) = world.take("\na 1\n");
    assert_eq!(read.expect_err("no name").to_string(), "line 2: relabelling leaves the series no name");
}

#[test]
fn limits_fail_the_scrape_with_their_names() {
    for (keys, body, reason, message) in [
        (
            "  sample_limit: 2",
            "a 1\nb 1\nc 1\nd 1\n",
            "sample_limit",
            "sample_limit exceeded: 4 samples after relabelling, limit 2",
        ),
        (
            "  label_limit: 3",
            "a 1\na{b=\"c\"} 1\n",
            "label_limit",
            "line 2: label_limit exceeded: 4 labels, limit 3, of \"a\"",
        ),
        (
            "  label_name_length_limit: 8",
            "a{ninechars=\"c\"} 1\n",
            "label_limit",
            "line 1: label_name_length_limit exceeded: 9 bytes of the name \"ninechars\", limit 8, of \"a\"",
        ),
        (
            "  label_value_length_limit: 3",
            "a{b=\"four\"} 1\n",
            "label_limit",
            "line 1: label_value_length_limit exceeded: 4 bytes of the value of \"b\", limit 3, of \"a\"",
        ),
        ("", "a 1\nb{ 1\n", "malformed", "line 2: the labels have no closing brace"),
        ("", "a 1\nb{c=d} 1\n", "malformed", "line 2: the value of the label \"c\" does not stand in quotes"),
        ("", "a 1\n{b=\"c\"} 1\n", "malformed", "line 2: the series has no name"),
    ] {
        let mut world = World::new(keys);
        let fault = world.take(body).1.expect_err(body);
        assert_eq!((fault.reason(), fault.to_string().as_str()), (reason, message));
    }
    let mut world = World::new(
        "  sample_limit: 2\n  metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: a}]",
    );
    assert_eq!(world.take("a 1\nb 1\nc 1\n").1, Ok(()), "what is dropped does not count");
}

#[test]
fn what_would_take_too_much_memory_fails_early() {
    let mut world = World::new("");
    world.room = Room { samples: 2, lines: 3 };
    let message = |read: Result<(), Fault>| read.expect_err("too much").to_string();
    assert!(message(world.take("a 1\nb 1\nc 1\n").1).starts_with("line 3: there are more than 2 samples"));
    let mut world = World::new("");
    world.room = Room { samples: 10, lines: 3 };
    assert_eq!(world.take("a 1\nb 1\n").1, Ok(()));
    // Those of the scrape before are there until the next one is over.
    let told = message(world.take("c 1\nd 1\n").1);
    assert!(told.starts_with("line 2: there are more than 3 series") && told.contains("series_max"), "{told}");
    assert_eq!(world.take("a 1\nc 1\n").1, Ok(()));
    assert_eq!(world.known.lines(), 2);
}

#[test]
fn exemplars_are_taken_once() {
    let mut world = World::new("");
    let body = |trace: &str| format!("a_total 1 # {{trace_id=\"{trace}\"}} 0.5\n# EOF\n");
    assert_eq!(world.told(&body("x")), ["__name__=a_total instance=i job=j = 1 @ 1000 # trace_id=x 0.5 1000"]);
    assert_eq!(world.told(&body("x")), ["__name__=a_total instance=i job=j = 1 @ 2000"]);
    assert_eq!(world.told(&body("y")), ["__name__=a_total instance=i job=j = 1 @ 3000 # trace_id=y 0.5 3000"]);
}

#[test]
fn families_are_found_by_the_suffixes_of_their_kind() {
    let mut world = World::new("");
    let (harvest, read) = world.take(
        "# TYPE h histogram\n# HELP h Help.\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\nh_total 1\n# TYPE c counter\nc_total 1\nc 1\n\
         # TYPE h_count gauge\nh_count{a=\"b\"} 1\nunknown 1\n",
    );
    assert_eq!(read, Ok(()));
    let kinds: Vec<_> = harvest.samples.iter().map(|sample| sample.series.family.kind.as_str()).collect();
    assert_eq!(kinds, ["histogram", "histogram", "histogram", "unknown", "counter", "counter", "gauge", "unknown"],);
    assert_eq!(&*harvest.samples[0].series.family.help, "Help.");
    let (changed, _) = world.take("# HELP c Changed.\nc 1\n");
    assert_eq!(&*changed.samples[0].series.family.help, "Changed.");
    assert_eq!(changed.samples[0].series.family.kind, Kind::Counter);
}
