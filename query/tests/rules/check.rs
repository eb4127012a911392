//! What is said about rule files: kinds of findings, and the files that people really use.

use query::rules::check::{FindingKind, check};

use crate::promtool::cases;

#[test]
fn findings_have_kinds_and_places() {
    let text = r#"
groups:
- name: a
  rules:
  - {alert: Same, expr: up == 0, labels: {severity: page}}
  - {alert: Same, expr: up == 1, labels: {severity: page}}
  - {alert: Same, expr: up == 1, labels: {severity: warn}}
  - {record: same, expr: up}
- name: b
  rules:
  - {record: same, expr: up}
  - {alert: Template, expr: up, annotations: {summary: '{{ $value | humanise }}'}}
  - {alert: Key, exp: up}
"#;
    let report = check("a.yml", text);
    assert_eq!((report.groups, report.rules), (2, 7));
    let said: Vec<String> =
        report.findings.iter().map(|finding| format!("{} {}", finding.kind.as_str(), finding.error)).collect();
    assert_eq!(
        said,
        [
            "warning a.yml:6:5: group \"a\", rule 2, \"Same\": the rule of line 5 has the same name and the same labels",
            "warning a.yml:11:5: group \"b\", rule 1, \"same\": the rule of line 8 has the same name and the same labels",
            "error a.yml:12:47: group \"b\", rule 2, \"Template\": annotation \"summary\": template: __alert_Template:1: function \"humanise\" not defined",
            "error a.yml:13:5: group \"b\", rule 3, \"Key\": field 'expr' must be set in rule",
            "error a.yml:13:18: group \"b\", rule 3, \"Key\": unknown key \"exp\" in a rule",
        ]
    );
    assert_eq!(report.count(FindingKind::Warning), 2);
    assert!(!report.is_accepted());
    let repeated = check("a.yml", &text.lines().take(8).collect::<Vec<_>>().join("\n"));
    assert!(repeated.is_accepted() && repeated.count(FindingKind::Warning) == 1);
}

/// All of them are files that Prometheus takes. What is missing here is PromQL or nothing.
#[test]
fn rule_files_that_people_use() {
    let Some(folder) = cases("alert-rules") else {
        println!("skipped: no cases");
        return;
    };
    let (mut files, mut accepted, mut rules, mut unsupported, mut warnings) = (0, 0, 0, 0, 0);
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let report = check(&name, &std::fs::read_to_string(&path).expect("a file can be read"));
        files += 1;
        accepted += usize::from(report.is_accepted());
        rules += report.rules;
        unsupported += report.count(FindingKind::Unsupported);
        warnings += report.count(FindingKind::Warning);
        let errors = report.findings.iter().filter(|finding| finding.kind == FindingKind::Error);
        wrong.extend(errors.map(|finding| finding.error.to_string()));
    }
    println!(
        "rule files: {accepted} of {files} accepted, {rules} rules, {unsupported} unsupported, {warnings} warnings"
    );
    assert_eq!(wrong, Vec::<String>::new());
    assert!(rules > 0);
}
