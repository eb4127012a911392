//! `sextant rules`: looks at rule files and runs their unit tests, here and without a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use model::{Clock, SystemClock};
use query::rules::check::{self, FindingKind, Report};
use query::rules::unit::{self, Failure, Outcome as SampleOutcome, Verdict};
use serde_json::{Value, json};
use tui::sanitize;

use super::status::counted;
use crate::report::{Exit, Failure as CommandFailure, Outcome, note};
use crate::table::{Screen, Tone};

/// What to do with rules.
#[derive(Debug, Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Look for mistakes in rule files.
    ///
    /// Tells every mistake with its place. Exit code 1 if a server would not take one of the files; PromQL that exists in
    /// Prometheus but not here yet counts as that, and is counted apart. Rules that are there twice are warnings.
    Check(FilesArgs),
    /// Run unit tests of rules, in promtool's format.
    ///
    /// Exit code 1 if one of them fails.
    Test(FilesArgs),
}

#[derive(Debug, Args)]
struct FilesArgs {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print JSON, one value per line, instead of text.
    #[arg(long)]
    json: bool,
}

/// Does what was asked for.
pub fn run(args: RulesArgs) -> Outcome {
    match args.command {
        RulesCommand::Check(args) => check_files(&args),
        RulesCommand::Test(args) => test_files(&args),
    }
}

fn check_files(args: &FilesArgs) -> Outcome {
    let mut screen = Screen::stdout();
    let mut reports = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let report = check::check(&path.display().to_string(), &read(path)?);
        if args.json {
            for value in report_json(&report) {
                screen.json(&value.to_string())?;
            }
        } else {
            draw_report(&report, &mut screen)?;
        }
        reports.push(report);
    }
    if !args.json && reports.len() > 1 {
        let line = summary(&reports);
        let line = screen.paint(Tone::Faint, &line);
        screen.line(&line)?;
    }
    screen.flush()?;
    Ok(if reports.iter().all(Report::is_accepted) { Exit::Done } else { Exit::No })
}

// A file that is not there is a wrong use of the command, not a mistake in a rule.
fn read(path: &Path) -> Result<String, CommandFailure> {
    use anyhow::Context as _;
    Ok(std::fs::read_to_string(path).with_context(|| format!("cannot read the rule file {}", path.display()))?)
}

fn draw_report(report: &Report, screen: &mut Screen) -> std::io::Result<()> {
    for finding in &report.findings {
        let tone = if finding.kind == FindingKind::Warning { Tone::Warning } else { Tone::Bad };
        let kind = screen.paint(tone, finding.kind.as_str());
        screen.line(&format!("{kind}: {}", sanitize::line(&finding.error.to_string())))?;
        if let Some(hint) = &finding.error.hint {
            screen.line(&format!("  hint: {}", sanitize::line(hint)))?;
        }
    }
    let (word, tone) = if report.is_accepted() { ("ok", Tone::Good) } else { ("refused", Tone::Bad) };
    let word = screen.paint(tone, word);
    let (path, contents) = (sanitize::line(&report.path), contents(report));
    screen.line(&format!("{path}: {word}, {contents}{}", findings(std::slice::from_ref(report))))
}

fn contents(report: &Report) -> String {
    format!("{} in {}", counted(report.rules as u64, "rule"), counted(report.groups as u64, "group"))
}

// `; 1 error, 2 unsupported`, or nothing.
fn findings(reports: &[Report]) -> String {
    let count = |kind| reports.iter().map(|report| report.count(kind)).sum::<usize>() as u64;
    let mut parts = Vec::new();
    if count(FindingKind::Error) > 0 {
        parts.push(counted(count(FindingKind::Error), "error"));
    }
    if count(FindingKind::Unsupported) > 0 {
        parts.push(format!("{} unsupported", count(FindingKind::Unsupported)));
    }
    if count(FindingKind::Warning) > 0 {
        parts.push(counted(count(FindingKind::Warning), "warning"));
    }
    if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) }
}

fn summary(reports: &[Report]) -> String {
    let accepted = reports.iter().filter(|report| report.is_accepted()).count();
    let rules: usize = reports.iter().map(|report| report.rules).sum();
    let rules = counted(rules as u64, "rule");
    format!("{accepted} of {} ok, {rules}{}", counted(reports.len() as u64, "file"), findings(reports))
}

fn report_json(report: &Report) -> Vec<Value> {
    let finding = |finding: &check::Finding| {
        let rule = finding.error.rule.as_ref();
        json!({
            "file": report.path,
            "line": finding.error.place.line,
            "column": finding.error.place.column,
            "kind": finding.kind.as_str(),
            "group": rule.map(|rule| &rule.group),
            "rule": rule.map(|rule| &rule.name),
            "message": finding.error.message,
            "hint": finding.error.hint,
        })
    };
    let mut values: Vec<Value> = report.findings.iter().map(finding).collect();
    values.push(json!({
        "file": report.path,
        "accepted": report.is_accepted(),
        "groups": report.groups,
        "rules": report.rules,
        "errors": report.count(FindingKind::Error),
        "unsupported": report.count(FindingKind::Unsupported),
        "warnings": report.count(FindingKind::Warning),
    }));
    values
}

fn test_files(args: &FilesArgs) -> Outcome {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut screen = Screen::stdout();
    let mut success = true;
    for path in &args.files {
        if let Err(error) = std::fs::metadata(path) {
            let error = anyhow::Error::from(error).context(format!("cannot read the test file {}", path.display()));
            return Err(CommandFailure::wrong_use(error));
        }
        let verdict = unit::run(path, &clock);
        success &= verdict.is_success();
        for warning in &verdict.warnings {
            note("warning", warning);
        }
        if args.json {
            screen.json(&verdict_json(&verdict).to_string())?;
        } else {
            draw_verdict(&verdict, &mut screen)?;
        }
        screen.flush()?;
    }
    Ok(if success { Exit::Done } else { Exit::No })
}

// As promtool prints it, for eyes and scripts that know that.
fn draw_verdict(verdict: &Verdict, screen: &mut Screen) -> std::io::Result<()> {
    screen.line(&format!("Unit Testing:  {}", sanitize::line(&verdict.path.display().to_string())))?;
    if verdict.is_success() {
        let word = screen.paint(Tone::Good, "SUCCESS");
        screen.line(&format!("  {word}"))?;
    } else {
        let word = screen.paint(Tone::Bad, "FAILED:");
        screen.line(&format!("  {word}"))?;
        for failure in &verdict.failures {
            for line in failure.to_string().lines() {
                screen.line(&sanitize::line(line))?;
            }
            if let Failure::File(error) = failure
                && let Some(hint) = &error.hint
            {
                screen.line(&format!("  hint: {}", sanitize::line(hint)))?;
            }
        }
        let unsupported = verdict.failures.iter().filter(|failure| failure.is_unsupported()).count();
        if unsupported > 0 {
            let line = format!("  {unsupported} of these because this version lacks something");
            let line = screen.paint(Tone::Faint, &line);
            screen.line(&line)?;
        }
    }
    screen.line("")
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "file": verdict.path.display().to_string(),
        "success": verdict.is_success(),
        "tests": verdict.tests,
        "warnings": verdict.warnings,
        "failures": verdict.failures.iter().map(failure_json).collect::<Vec<_>>(),
    })
}

// As PromQL writes it.
fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

fn failure_json(failure: &Failure) -> Value {
    let mut value = match failure {
        Failure::File(error) => {
            json!({"file": error.path, "line": error.place.line, "column": error.place.column, "error": error.message, "hint": error.hint})
        }
        Failure::Message(message) | Failure::Unsupported(message) => json!({"error": message}),
        Failure::Rule { name, time_ms, error } => json!({"rule": name, "time_ms": time_ms, "error": error}),
        Failure::Alerts { test, alertname, time_ms, expected, got } => {
            let alerts = |alerts: &[unit::LabelledAlert]| -> Vec<Value> {
                alerts.iter().map(|alert| json!({"labels": alert.labels, "annotations": alert.annotations})).collect()
            };
            json!({"test": test, "alertname": alertname, "time_ms": time_ms, "exp": alerts(expected), "got": alerts(got)})
        }
        Failure::Expr { expr, time_ms, outcome } => match outcome {
            SampleOutcome::Error(error) | SampleOutcome::Unsupported(error) => {
                json!({"expr": expr, "time_ms": time_ms, "error": error})
            }
            SampleOutcome::Samples { expected, got } => {
                // Values as text: JSON has no infinity.
                let samples = |samples: &[(model::Labels, f64)]| -> Vec<Value> {
                    let one = |(labels, value): &(model::Labels, f64)| json!({"labels": labels.iter().collect::<std::collections::BTreeMap<_, _>>(), "value": number(*value)});
                    samples.iter().map(one).collect()
                };
                json!({"expr": expr, "time_ms": time_ms, "exp": samples(expected), "got": samples(got)})
            }
        },
    };
    value["unsupported"] = failure.is_unsupported().into();
    value
}
