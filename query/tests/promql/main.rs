//! The PromQL engine from outside: test scripts, Prometheus's own among them, and naive oracles over random data.

mod notation;
mod oracle;
mod script;

use std::path::{Path, PathBuf};

use script::Report;

#[test]
fn own_scripts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql");
    let report = run(&directory);
    println!("own scripts: {report}");
    assert_eq!(report.failures, Vec::<String>::new(), "{report}");
    // Our own scripts hold only what exists, and enough of it.
    assert_eq!(report.skipped.values().sum::<usize>(), 0, "{:?}", report.skipped);
    assert!(report.passed >= 100, "{report}");
}

#[test]
fn scripts_of_prometheus() {
    let directory = std::env::var_os("SEXTANT_CASES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases"), PathBuf::from);
    // A work tree may stand one level deeper than the repository.
    let nearby = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    let Some(directory) = [directory, nearby].into_iter().find(|directory| directory.join("promqltest").is_dir())
    else {
        println!("skipped: no cases");
        return;
    };
    let report = run(&directory.join("promqltest"));
    println!("scripts of Prometheus: {report}");
    for (reason, count) in &report.skipped {
        println!("  skipped {count:4}: {reason}");
    }
    assert_eq!(report.failures, Vec::<String>::new(), "{report}");
    assert!(report.passed > 0, "{report}");
}

fn run(directory: &Path) -> Report {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the scripts' directory can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    let mut report = Report::default();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a script can be read");
        script::run(&file.file_name().unwrap_or_default().to_string_lossy(), &text, &mut report);
    }
    report
}
