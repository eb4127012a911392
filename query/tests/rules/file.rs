//! Rule files: what is accepted, and what is said about mistakes.

use query::rules::file::{Action, FileErrorKind, GroupKind, RuleFile};

#[test]
fn a_prometheus_file() {
    let text = r#"
groups:
  - name: shop
    interval: 30s
    limit: 10
    query_offset: 1m
    labels: {team: core, tier: 1}
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: Down
        expr: |
          up == 0
        for: 1h30m
        keep_firing_for: 5m
        labels:
          severity: page
          tier: "2"
          flag: yes
        annotations:
          summary: '{{ $labels.job }} is down'
  - name: empty
    rules:
"#;
    let file = RuleFile::parse("shop.yml", text).expect("it is right");
    let group = &file.groups[0];
    assert_eq!((group.name.as_str(), group.kind, group.limit), ("shop", GroupKind::Prometheus, 10));
    assert_eq!((group.interval_ms, group.query_offset_ms), (Some(30_000), 60_000));
    let [record, alert] = group.rules.as_slice() else { panic!("{:?}", group.rules) };
    assert_eq!((record.name.as_str(), &record.action), ("job:up:sum", &Action::Record));
    let labels: Vec<String> = alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["flag=yes", "severity=page", "team=core", "tier=2"]);
    let action = alert.alert().expect("it is an alert");
    assert_eq!((action.for_ms, action.keep_firing_for_ms), (5_400_000, 300_000));
    assert_eq!(action.annotations["summary"], "{{ $labels.job }} is down");
    assert_eq!((alert.place.line, alert.place.column), (11, 9));
    assert!(file.groups[1].rules.is_empty());
}

#[test]
fn empty_files_have_no_groups() {
    for text in ["", "# nothing\n", "groups:\n", "groups: []", "---\n"] {
        assert_eq!(RuleFile::parse("x.yml", text).map(|file| file.groups.len()), Ok(0), "{text:?}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    let rule = |rule: &str| format!("groups:\n- name: g\n  rules:\n  - {}", rule.replace('\n', "\n    "));
    for (text, expected) in [
        (rule("alert: A\nexpr: up\nforr: 5m"), "6:5: group \"g\", rule 1, \"A\": unknown key \"forr\" in a rule"),
        (
            rule("alert: A\nrecord: b\nexpr: up"),
            "5:13: group \"g\", rule 1, \"A\": only one of 'record' and 'alert' must be set",
        ),
        (rule("expr: up"), "4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set"),
        (rule("alert: A"), "4:5: group \"g\", rule 1, \"A\": field 'expr' must be set in rule"),
        (
            rule("alert: A\nexpr: sum(up"),
            "5:11: group \"g\", rule 1, \"A\": could not parse expression: 1:7: parse error: unclosed left parenthesis",
        ),
        (
            rule("record: a\nexpr: up\nfor: 5m"),
            "4:13: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule",
        ),
        (
            rule("record: a\nexpr: up\nannotations: {x: y}"),
            "4:13: group \"g\", rule 1, \"a\": invalid field 'annotations' in recording rule",
        ),
        (
            rule("record: a{b=\"c\"}\nexpr: up"),
            "4:13: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": braces present in the recording rule name; should it be in expr?: a{b=\"c\"}",
        ),
        (
            rule("alert: A\nexpr: up\nlabels: {__name__: x}"),
            "6:14: group \"g\", rule 1, \"A\": invalid label name: __name__",
        ),
        (
            rule("alert: A\nexpr: up\nfor: 5"),
            "6:10: group \"g\", rule 1, \"A\": for: not a valid duration string: \"5\"",
        ),
        ("groups:\n- rules: []".to_owned(), "2:3: Groupname must not be empty"),
        ("groups:\n- name: a\n- name: a".to_owned(), "3:3: groupname: \"a\" is repeated in the same file"),
        ("groups:\n- name: a\n  name: b".to_owned(), "3:3: key \"name\" is repeated in a group"),
        ("groups:\n- name: a\n  limit: many".to_owned(), "3:10: limit has to be a whole number, not \"many\""),
        ("groups:\n- name: a\n  rules: 5".to_owned(), "3:10: rules has to be a list"),
        ("groups:\n- name: a\n  type: metrics".to_owned(), "3:9: unknown type \"metrics\" of a group"),
        ("groups:\n- name: a\n  eval_delay: 5s".to_owned(), "3:3: unknown key \"eval_delay\" in a group"),
        ("group: []".to_owned(), "1:1: unknown key \"group\" in a rule file"),
        ("- a".to_owned(), "1:1: a rule file has to be a map of keys and values"),
    ] {
        let errors = RuleFile::parse("x.yml", &text).expect_err(&text);
        assert_eq!(errors[0].to_string(), format!("x.yml:{expected}"), "{text}");
    }
}

#[test]
fn the_nearest_key_is_named() {
    let text = "groups:\n- name: g\n  intervall: 5m\n  rules:\n  - alert: A\n    expression: up\n    anotations: {}\n";
    let errors = RuleFile::parse("x.yml", text).expect_err("it is wrong");
    let hints: Vec<_> = errors.iter().map(|error| error.hint.as_deref().unwrap_or("-")).collect();
    assert_eq!(hints, ["did you mean \"interval\"?", "-", "did you mean \"expr\"?", "did you mean \"annotations\"?"]);
}

#[test]
fn broken_yaml_and_what_does_not_exist_yet_are_told_apart() {
    let kind = |text: &str| RuleFile::parse("x.yml", text).expect_err(text)[0].kind;
    assert_eq!(kind("groups: [\n"), FileErrorKind::Syntax);
    assert_eq!(kind("groups:\n  - name: a\n rules: []\n"), FileErrorKind::Syntax);
    assert_eq!(kind("groups: &a [*a]\n"), FileErrorKind::Syntax);
    assert_eq!(kind("groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'rate('}"), FileErrorKind::Invalid);
}

#[test]
fn deep_and_hostile_files_are_refused() {
    let deep = format!("groups: {}{}", "[".repeat(20_000), "]".repeat(20_000));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    for text in [deep.as_str(), bomb, "\u{0}", "groups: !!binary x"] {
        assert!(RuleFile::parse("x.yml", text).is_err());
    }
}
