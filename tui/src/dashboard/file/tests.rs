//! Files that are boards, and files that are none: what they say of themselves.

use super::super::shelf::SHIPPED;
use super::*;

const HEAD: &str = "title: T\npanels:\n  - title: P\n    type: timeseries\n    queries: [{promql: up}]\n";

#[test]
fn shipped_boards_are_boards() {
    for (name, text) in SHIPPED {
        let board = Board::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        assert!(!board.description.is_empty(), "{name}");
    }
}

#[test]
fn every_key_has_its_meaning() {
    let text = r#"
title: All
description: of it
refresh: 30s
range: 1h30m
interval: 15s
variables:
  - {name: service, label: Service, values_of: {label: job, in: up}, multi: true, default: shop}
  - {name: env, list: [a, b], default: b}
  - {name: q, text: "severity:error"}
panels:
  - title: Lines of $service
    type: timeseries
    width: 24
    height: 12
    queries:
      - {promql: "rate(x{job=~\"$service\"}[$__rate_interval])", legend: "{{job}} $env"}
      - {counter: 'y{a="b"}', as: rate, by: [c]}
    unit: ops
    decimals: 2
    min: 0
    max: 1.5
    thresholds:
      - {above: 1, level: bad}
      - {below: 0.1, level: warn}
  - {title: Log, type: logs, queries: [{logs: "service:$service $q"}]}
  - {title: A, type: alertlist, state: firing}
  - {title: Note, type: text, text: hello}
"#;
    let board = Board::parse("all.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((board.refresh_ms, board.range_ms, board.interval_ms), (30_000, Some(5_400_000), 15_000));
    let kinds: Vec<&VariableKind> = board.variables.iter().map(|variable| &variable.kind).collect();
    let of = VariableKind::ValuesOf { label: "job".to_owned(), selector: Some("up".to_owned()) };
    let list = VariableKind::List(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(kinds, [&of, &list, &VariableKind::Text("severity:error".to_owned())]);
    let lines = &board.panels[0];
    assert_eq!((lines.width, lines.height, lines.unit, lines.decimals), (24, 12, Unit::Ops, Some(2)));
    assert_eq!((lines.min, lines.max), (Some(0.0), Some(1.5)));
    let levels = [0.05, 0.5, 1.0].map(|value| lines.level(value));
    assert_eq!(levels, [Some(Level::Warn), None, Some(Level::Bad)]);
    assert!(matches!(&lines.queries[1].source, Source::Counter(counter) if counter.by == ["c"]));
    assert_eq!(board.panels[2].kind, PanelKind::AlertList(Some("firing".to_owned())));
    assert_eq!((board.panels[1].width, board.panels[1].height), (12, 10));
}

#[test]
fn durations() {
    for (text, expected) in [
        ("10s", Some(10_000)),
        ("250ms", Some(250)),
        ("1h30m", Some(5_400_000)),
        ("2w", Some(1_209_600_000)),
        ("", None),
        ("10", None),
        ("s", None),
        ("1y", None),
        ("-1s", None),
        ("99999999999999999999s", None),
        ("999999999999999999w", None),
    ] {
        assert_eq!(duration_ms(text), expected, "{text:?}");
    }
}

// What a file says of itself when it is broken.
fn complaint(text: &str) -> String {
    match Board::parse("b.yaml", text) {
        Ok(board) => format!("a board: {board:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn broken_files_name_line_and_remedy() {
    let panel = |rest: &str| format!("title: T\npanels:\n  - title: P\n{rest}");
    let stat = |rest: &str| panel(&format!("    type: stat\n    queries: [{{promql: up}}]\n{rest}"));
    let variable = |rest: &str| format!("variables:\n  - {rest}\n{HEAD}");
    let query = |rest: &str| panel(&format!("    type: stat\n    queries:\n      - {rest}\n"));
    let cases = [
        (String::new(), "1:1: the file ends where something is due; a board has at least `title` and `panels`"),
        ("title: [".to_owned(), "1:8: a text should stand here; write it in quotes if it looks like something else"),
        ("\t".to_owned(), "1:2: the file ends where something is due; a board has at least `title` and `panels`"),
        ("just words".to_owned(), "1:1: keys with values should stand here; write `key: value`"),
        ("title: T\n".to_owned(), "1:1: the key `panels` is missing here; add `panels: ...`"),
        (format!("titel: T\n{HEAD}"), "1:1: unknown key `titel`; did you mean `title`?"),
        (format!("refesh: 10s\n{HEAD}"), "1:1: unknown key `refesh`; did you mean `refresh`?"),
        (
            format!("zzz: 10s\n{HEAD}"),
            "1:1: unknown key `zzz`; known are `title`, `description`, `refresh`, `range`, `interval`, `variables`, `panels`",
        ),
        (format!("{HEAD}title: again\n"), "6:1: the key `title` stands here twice; keep one of them"),
        ("title: T\npanels: []\n".to_owned(), "2:9: the board has no panel; add one with `title` and `type`"),
        (
            "title: T\npanels: 3\n".to_owned(),
            "2:9: a list should stand here; write `[a, b]`, or lines that begin with `- `",
        ),
        ("title: ''\npanels: []\n".to_owned(), "1:8: `title` is empty; write something"),
        ("title:\npanels: []\n".to_owned(), "1:6: there is no value here; write one, or leave the key out"),
        (
            format!("{HEAD}---\n{HEAD}"),
            "7:1: a second document begins here; keep one board in a file, without a second `---`",
        ),
        (format!("refresh: soon\n{HEAD}"), "1:10: `soon` is no duration; write it like `30s`, `15m`, `1h`, `7d`"),
        (format!("refresh: 10ms\n{HEAD}"), "1:10: `refresh` lies outside 1 s to 86400 s; choose another duration"),
        (format!("range: 400d\n{HEAD}"), "1:8: `range` lies outside 1 s to 31622400 s; choose another duration"),
        (panel("    type: timeserie\n"), "4:11: unknown word `timeserie`; did you mean `timeseries`?"),
        (
            panel("    type: heatmap\n"),
            "4:11: unknown word `heatmap`; known are `timeseries`, `stat`, `gauge`, `bar`, `table`, `logs`, `alertlist`, `text`",
        ),
        (panel("    queries: [{promql: up}]\n"), "4:5: the key `type` is missing here; add `type: ...`"),
        (panel("    type: timeseries\n"), "3:5: the panel has no query; add `queries: [{promql: ...}]`"),
        (panel("    type: logs\n"), "3:5: the panel has no query; add `queries: [{logs: ...}]`"),
        (panel("    type: text\n"), "3:5: the panel has no `text`; add `text: ...`"),
        (
            panel("    type: text\n    text: x\n    unit: s\n"),
            "6:11: a panel of type `text` has no `unit`; leave it out",
        ),
        (panel("    type: alertlist\n    state: fireing\n"), "5:12: unknown state `fireing`; did you mean `firing`?"),
        (
            panel("    type: alertlist\n    queries: [{promql: up}]\n"),
            "5:15: a panel of type `alertlist` asks nothing; leave `queries` out",
        ),
        (
            panel("    type: gauge\n    queries: [{promql: up}]\n"),
            "4:11: a gauge needs an end; add `max: ...`, or a unit `percent` or `share`",
        ),
        (
            panel("    type: logs\n    queries: [{promql: up}]\n"),
            "5:15: a panel of type `logs` cannot show `promql`; ask by `logs`",
        ),
        (
            panel("    type: logs\n    queries: [{logs: a}, {logs: b}]\n"),
            "5:26: a panel of type `logs` has at most 1 query; put the rest into a second panel",
        ),
        (stat("    width: 25\n"), "6:12: `width` is 25 here; write 1 to 24"),
        (stat("    width: wide\n"), "6:12: a whole number should stand here; write one like `12`"),
        (stat("    height: 2\n"), "6:13: `height` is 2 here; write 3 to 60"),
        (stat("    decimals: 12\n"), "6:15: `decimals` is 12 here; write 0 to 9"),
        (
            stat("    unit: second\n"),
            "6:11: unknown unit `second`; known are `short`, `none`, `s`, `ms`, `ns`, `bytes`, `bytes/s`, `percent`, `share`, `ops`, `time`",
        ),
        (stat("    unit: byte\n"), "6:11: unknown unit `byte`; did you mean `bytes`?"),
        (stat("    min: 3\n    max: 2\n"), "7:10: `max` is not above `min`; write a greater number"),
        (stat("    min: .nan\n"), "6:10: this is no finite number; leave it out"),
        (stat("    text: x\n"), "6:11: only a panel of type `text` has a `text`; leave it out"),
        (
            stat("    thresholds:\n      - {level: bad}\n"),
            "7:9: a threshold has one of `above` and `below`; write it like `{above: 0.05, level: bad}`",
        ),
        (stat("    thresholds:\n      - {above: 1, level: baad}\n"), "7:27: unknown level `baad`; did you mean `bad`?"),
        (
            stat("    thresholds:\n      - {over: 1, level: bad}\n"),
            "7:10: unknown key `over`; known are `above`, `below`, `level`",
        ),
        (query("{}"), "6:9: the query asks nothing; add one of `promql`, `logs`, `counter`"),
        (query("{promql: up, logs: x}"), "6:9: the query asks several things; make two queries of it"),
        (query("{promql: ''}"), "6:18: `promql` is empty; write something"),
        (query("{promq: up}"), "6:10: unknown key `promq`; did you mean `promql`?"),
        (query("{logs: error}"), "6:9: a panel of type `stat` cannot show `logs`; ask by `promql` or `counter`"),
        (query("{promql: up, as: rate}"), "6:26: only a query with `counter` has `as`; leave it out"),
        (query("{counter: x, as: speed}"), "6:26: `speed` is no way to read a counter; known are `value`, `rate`"),
        (
            query("{counter: 'x{a=b}'}"),
            r#"6:19: `x{a=b}` is no counter; write it like `sextant_wal_bytes_total{signal="logs"}`"#,
        ),
        (
            query("{promql: 'up{job=\"$servce\"}'}"),
            "6:18: `promql` names `$servce`, which is no variable of this board; known are `__interval`, `__rate_interval`, `__range`",
        ),
        (
            query("{promql: 'rate(up[$__rate_intervall])'}"),
            "6:18: `promql` names `$__rate_intervall`, which is no variable of this board; did you mean `__rate_interval`?",
        ),
        (
            variable("{name: 1st, list: [a]}"),
            "2:12: `1st` is no name of a variable; write letters, digits and `_`, a letter first, like `service`",
        ),
        (variable("{name: a}"), "2:5: the variable `a` has no values; add one of `values_of`, `list`, `text`"),
        (variable("{name: a, list: []}"), "2:21: the list of `a` is empty; write its values"),
        (
            variable("{name: a, list: [x], text: y}"),
            "2:5: the variable `a` has several kinds of values; keep one of `values_of`, `list`, `text`",
        ),
        (
            variable("{name: a, list: [prod, test], default: prd}"),
            "2:44: the default `prd` is not in the list; did you mean `prod`?",
        ),
        (variable("{name: a, text: x, multi: true}"), "2:31: a text is one value; leave `multi` out"),
        (
            variable("{name: a, text: x}\n  - {name: a, text: y}"),
            "3:12: there are two variables `a`; rename one of them",
        ),
        (
            variable("{name: a, values_of: {label: 'a b'}}"),
            "2:34: `a b` is no name of a label; write the label's name as PromQL does, like `job`",
        ),
        (variable("{name: a, values_of: job}"), "2:26: keys with values should stand here; write `key: value`"),
        (variable("{name: a, list: [x], multi: yes}"), "2:33: yes or no should stand here; write `true` or `false`"),
        (stat("    min: low\n"), "6:10: a number should stand here; write one like `0.5`"),
        (stat("    unit: [s]\n"), "6:11: a text should stand here; write it in quotes if it looks like something else"),
        (
            format!("x: &a [*a]\n{HEAD}"),
            "1:1: unknown key `x`; known are `title`, `description`, `refresh`, `range`, `interval`, `variables`, `panels`",
        ),
        ("title: T\npanels: !!python/object x\n".to_owned(), "2:25: unsupported tag `!!python/object`"),
        (
            format!("a: {}", "[".repeat(100)),
            "1:1: unknown key `a`; known are `title`, `description`, `refresh`, `range`, `interval`, `variables`, `panels`",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(complaint(&text), format!("b.yaml:{expected}"), "{text}");
    }
}

#[test]
fn too_large_a_file_is_refused_unread() {
    let text = format!("{HEAD}# {}", "x".repeat(1 << 20));
    let bytes = text.len();
    let expected = format!("b.yaml: the file has {bytes} bytes, and a board has at most 1048576; split the board");
    assert_eq!(complaint(&text), expected);
}

#[test]
fn no_damage_to_a_file_panics() {
    let mut random = fastrand::Rng::with_seed(7);
    for (name, text) in SHIPPED {
        for _ in 0..400 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                match random.u8(..3) {
                    0 => bytes[at] = b"{}[]:-,\"'$&*! \n\t\0x9"[random.usize(..19)],
                    1 if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at + 1),
                }
            }
            if let Err(error) = Board::parse(name, &String::from_utf8_lossy(&bytes)) {
                assert!(!error.message.is_empty() && !error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
