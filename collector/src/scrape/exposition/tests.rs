//! Bodies as targets write them, right and wrong; and any text that a writer makes is read as it was meant.

use fastrand::Rng;

use super::*;

fn read(body: &str, format: Format) -> Result<Vec<Entry<'_>>, Malformed> {
    Exposition::new(body.as_bytes(), format)?.collect()
}

// A series as `name a=b c=d`, and its value, time and exemplar.
fn told(entry: &Entry<'_>) -> String {
    let labels = |written: &str| {
        let labels = read_series(written).expect("labels that can be read").finish();
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(" ")
    };
    match entry {
        Entry::Kind(name, kind) => format!("TYPE {name} {}", kind.as_str()),
        Entry::Help(name, text) => format!("HELP {name} {text}"),
        Entry::Unit(name, unit) => format!("UNIT {name} {unit}"),
        Entry::Sample(Sample { series, value, millis, exemplar }) => {
            let mut text = format!("{} = {value}", labels(series));
            if let Some(millis) = millis {
                text.push_str(&format!(" @ {millis}"));
            }
            if let Some(Exemplar { labels: written, value, millis }) = exemplar {
                text.push_str(&format!(" # {} = {value} @ {millis:?}", labels(written)));
            }
            text
        }
    }
}

fn check(format: Format, body: &str, expected: &[&str]) {
    let entries = read(body, format).unwrap_or_else(|error| panic!("{body:?}: {error}"));
    assert_eq!(entries.iter().map(told).collect::<Vec<_>>(), expected, "{body:?}");
}

#[test]
fn prometheus_text_is_read() {
    let check = |body, expected: &[&str]| check(Format::Text, body, expected);
    check("", &[]);
    check("\n \n\t\n", &[]);
    check("a 1", &["__name__=a = 1"]);
    check("a 1\nb 2\n", &["__name__=a = 1", "__name__=b = 2"]);
    check("  a\t 1 \t1700000000000  \n", &["__name__=a = 1 @ 1700000000000"]);
    check("a{} 1\na{ } 1\n", &["__name__=a = 1", "__name__=a = 1"]);
    check("a{b=\"c\"}1\n", &["__name__=a b=c = 1"]);
    check("a {b = \"c\" , d=\"e\",} 1\n", &["__name__=a b=c d=e = 1"]);
    check("a{b=\"x\\\\y\\\"z\\n}{,\"} 1\n", &["__name__=a b=x\\y\"z\n}{, = 1"]);
    check("a{b=\"\"} 1\n", &["__name__=a = 1"]);
    check("a:b_c9 +Inf -5\n", &["__name__=a:b_c9 = inf @ -5"]);
    check("a NaN\n", &["__name__=a = NaN"]);
    check("{\"with.dots\",\"and spaces\"=\"b\"} 1\n", &["__name__=with.dots and spaces=b = 1"]);
    check("{a=\"b\",\"ü\"} 1\n", &["__name__=ü a=b = 1"]);
    check("# a remark\n#\n# HELP\n#TYPE a thing\n# EOF\na 1\n", &["__name__=a = 1"]);
    check("# HELP a some \\\\ text\\n \\\"\n", &["HELP a some \\ text\n \\\""]);
    check("# HELP a\n# HELP a \n", &["HELP a ", "HELP a "]);
    check("#  TYPE\ta  counter \n# TYPE \"b.c\" untyped\n", &["TYPE a counter", "TYPE b.c unknown"]);
}

#[test]
fn openmetrics_is_read() {
    let check = |body, expected: &[&str]| check(Format::OpenMetrics, body, expected);
    check("# EOF\n", &[]);
    check("# EOF", &[]);
    check(
        "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds A \\\"text\\\".\n\
         a_seconds_total{b=\"c\"} 17 1520879607.789 # {trace_id=\"x\"} 0.5 1520879607\na_seconds_created 1520872607.123\n# EOF\n",
        &[
            "TYPE a_seconds counter",
            "UNIT a_seconds seconds",
            "HELP a_seconds A \"text\".",
            "__name__=a_seconds_total b=c = 17 @ 1520879607789 # trace_id=x = 0.5 @ Some(1520879607000)",
            "__name__=a_seconds_created = 1520872607.123",
        ],
    );
    check("a_bucket{le=\"+Inf\"} 1 # {} 1\n# EOF\n", &["__name__=a_bucket le=+Inf = 1 #  = 1 @ None"]);
    check(
        "# TYPE a gaugehistogram\n# TYPE b stateset\n# TYPE c info\n# TYPE d unknown\n# EOF\n",
        &["TYPE a gaugehistogram", "TYPE b stateset", "TYPE c info", "TYPE d unknown"],
    );
    check("# UNIT a \n{\"b.c\"} -0.1\n# EOF\n", &["UNIT a ", "__name__=b.c = -0.1"]);
}

#[test]
fn a_bad_line_is_told_with_its_number_and_the_reason() {
    let text = |body: &'static str, line: usize, what: &str| (Format::Text, body, line, what.to_owned());
    let open = |body: &'static str, line: usize, what: &str| (Format::OpenMetrics, body, line, what.to_owned());
    for (format, body, line, what) in [
        text("a 1\nb\nc 1\n", 2, "\"b\" has no value"),
        text("a{b=\"c\"}\n", 1, "has no value"),
        text("a one\n", 1, "the value \"one\" is no number"),
        text("a 1\r\n", 1, "is no number"),
        text("a 0x1p4\n", 1, "is no number"),
        text("a 1 1.5\n", 1, "the timestamp \"1.5\" is no whole number"),
        text("a 1 99999999999999999999\n", 1, "the timestamp"),
        text("a 1 1 1\n", 1, "\"1\" follows the timestamp"),
        text("a 1 # {b=\"c\"} 1\n", 1, "the timestamp \"#\""),
        text("1a 1\n", 1, "does not begin with a metric's name"),
        text("a-b 1\n", 1, "is no metric's name"),
        text("ü 1\n", 1, "does not begin with a metric's name"),
        text("a{b=\"c} 1\n", 1, "has no closing quote"),
        text("a{b=\"c\" 1\n", 1, "no closing brace"),
        text("a{b=\"\n\"} 1\n", 1, "has no closing quote"),
        text("# TYPE a thing\n", 1, "there is no type \"thing\"; types are counter, gauge"),
        text("# TYPE a\n", 1, "there is no type \"\""),
        text("# HELP -a b\n", 1, "# HELP is not followed by a metric's name"),
        text("<html>\n", 1, "does not begin with a metric's name"),
        open("a 1\n", 2, "the body ends without # EOF"),
        open("", 1, "the body ends without # EOF"),
        open("a 1", 1, "the line does not end"),
        open("# EOF\na 1\n", 2, "something follows # EOF"),
        open("a 1\n\n# EOF\n", 2, "has no empty lines"),
        open(" a 1\n# EOF\n", 1, "does not begin with a metric's name"),
        open("a  1\n# EOF\n", 1, "the value \"\" is no number"),
        open("a\t1\n# EOF\n", 1, "has no value"),
        open("a 1 NaN\n# EOF\n", 1, "the timestamp \"NaN\" is no number"),
        open("a 1 1 1\n# EOF\n", 1, "\" 1\" follows the value"),
        open("a 1 # b\n# EOF\n", 1, "does not begin with labels"),
        open("a 1 # {b=\"c\"}\n# EOF\n", 1, "the exemplar has no value"),
        open("a 1 # {b=\"c\"} 1 1 1\n# EOF\n", 1, "follows the exemplar"),
        open("# a remark\n# EOF\n", 1, "neither HELP, TYPE, UNIT nor EOF"),
        open("#\n# EOF\n", 1, "neither HELP, TYPE, UNIT nor EOF"),
        open("# HELP a\n# EOF\n", 1, "# HELP says nothing about \"a\""),
        open("# TYPE a untyped\n# EOF\n", 1, "there is no type \"untyped\""),
        open("# UNIT a_bytes seconds\n# EOF\n", 1, "the unit \"seconds\" is no suffix of the metric \"a_bytes\""),
    ] {
        let error = read(body, format).expect_err(body);
        assert!(error.line == line && error.what.contains(&what), "{body:?}: {error}");
    }
    let error = read_bytes(b"a 1\nb{c=\"\xff\"} 1\n").expect_err("it is no text");
    assert_eq!(error.to_string(), "line 2: it is not UTF-8");
}

fn read_bytes(body: &[u8]) -> Result<usize, Malformed> {
    Exposition::new(body, Format::Text)?.try_fold(0, |count, entry| entry.map(|_| count + 1))
}

#[test]
fn bad_labels_are_told() {
    for (series, what) in [
        ("a{b}", "the label \"b\" has no value"),
        ("a{b=c}", "does not stand in quotes"),
        ("a{b=\"c\";}", "not by a comma or a closing brace"),
        ("a{b=\"c\",b=\"d\"}", "the label \"b\" is there twice"),
        ("a{,}", "does not begin with a label's name"),
        ("a{1=\"c\"}", "does not begin with a label's name"),
        ("a{b:c=\"d\"}", "has no value"),
        ("a{\"b\"}", "the metric has a second name, \"b\""),
        ("{\"\"}", "a name in quotes is empty"),
        ("{\"\"=\"a\"}", "a name in quotes is empty"),
    ] {
        let error = read_series(series).expect_err(series);
        assert!(error.contains(what), "{series}: {error}");
    }
}

#[test]
fn long_lines_are_not_repeated_whole() {
    let error = read(&format!("{} x\n", "a".repeat(100_000)), Format::Text).expect_err("no number");
    assert!(error.to_string().len() < 200, "{error}");
    let error = read(&format!("a {}\n", "x".repeat(100_000)), Format::Text).expect_err("no number");
    assert!(error.to_string().len() < 200, "{error}");
}

// Text with everything that has to be escaped, and more.
fn any_text(rng: &mut Rng) -> String {
    const CHARACTERS: [char; 12] = ['a', 'Z', '0', '_', '"', '\\', '\n', '{', '}', ' ', ',', 'ü'];
    (0..rng.usize(..8)).map(|_| CHARACTERS[rng.usize(..CHARACTERS.len())]).collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[test]
fn what_is_written_is_read_as_it_was_meant() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed} (SEED={seed} repeats it)");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..2_000 {
        let format = if rng.bool() { Format::Text } else { Format::OpenMetrics };
        let (mut body, mut expected) = (String::new(), Vec::new());
        for number in 0..rng.usize(..6) {
            let quoted = rng.bool();
            let name = if quoted { format!("n{}", any_text(&mut rng)) } else { format!("plain:{number}") };
            let labels: Vec<(String, String)> = (0..rng.usize(..4))
                .map(|at| {
                    let name = if rng.bool() { format!("l{at}") } else { format!("l{at}{}", any_text(&mut rng)) };
                    (name, any_text(&mut rng))
                })
                .collect();
            let mut inside: Vec<String> = labels
                .iter()
                .map(|(name, value)| {
                    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    let name = if plain { name.clone() } else { format!("\"{}\"", escaped(name)) };
                    format!("{name}=\"{}\"", escaped(value))
                })
                .collect();
            if quoted {
                inside.insert(rng.usize(..=inside.len()), format!("\"{}\"", escaped(&name)));
            }
            let value = f64::from_bits(rng.u64(..));
            let value = if value.is_nan() { f64::NAN } else { value };
            let millis = rng.bool().then(|| rng.i64(-1_000_000_000_000..2_000_000_000_000));
            let braces = if inside.is_empty() { String::new() } else { format!("{{{}}}", inside.join(",")) };
            let time = match (millis, format) {
                (None, _) => String::new(),
                (Some(millis), Format::Text) => format!(" {millis}"),
                // Whole seconds: fractions of others are a thousandth off now and then, in Prometheus too.
                (Some(millis), Format::OpenMetrics) => format!(" {}", millis / 1000),
            };
            let millis = millis.map(|millis| if format == Format::Text { millis } else { millis / 1000 * 1000 });
            body.push_str(&format!("{}{braces} {value:?}{time}\n", if quoted { "" } else { &name }));
            let mut all = labels;
            all.push((crate::scrape::labels::NAME.to_owned(), name));
            expected.push((Labels::of(all).finish(), value.to_bits(), millis));
        }
        if format == Format::OpenMetrics {
            body.push_str("# EOF\n");
        }
        let entries = read(&body, format).unwrap_or_else(|error| panic!("{body}\n{error}"));
        let got: Vec<_> = entries
            .iter()
            .map(|entry| {
                let Entry::Sample(sample) = entry else { panic!("{entry:?}") };
                let labels = read_series(sample.series).unwrap_or_else(|error| panic!("{body}\n{error}"));
                (labels.finish(), sample.value.to_bits(), sample.millis)
            })
            .collect();
        assert_eq!(got, expected, "{body}");
    }
}

use crate::scrape::labels::Labels;
