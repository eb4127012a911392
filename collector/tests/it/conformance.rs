//! Every row of the OTLP conformance checklist, each a function named after its id, on each transport that it names; and the
//! page that says how they ended, `docs/otlp-conformance.md`, which is written from a run of them and compared with it.

mod grpc;
mod http;
mod json;
mod semantics;
mod wire;

use std::fmt::Write as _;
use std::path::Path;
use std::pin::Pin;

pub use self::wire::Transport;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One row of the checklist.
pub struct Row {
    pub id: &'static str,
    /// What the specification calls it: MUST, SHOULD, MAY; `-` for what follows from something else, `own` for what it leaves
    /// open.
    pub level: &'static str,
    pub case: &'static str,
    /// What Sextant does.
    pub does: &'static str,
    pub on: &'static [Transport],
    pub check: Check,
}

#[derive(Clone, Copy)]
pub enum Check {
    Run(fn(Transport) -> Running),
    /// Shown by a test of the whole program, as it needs its accept loop: the test's name in [`ELSEWHERE`].
    ShownBy(&'static str),
}

/// A row whose check is a function of this module, named after the id.
macro_rules! row {
    ($check:ident, $id:literal, $level:literal, $on:expr, $case:literal, $does:literal) => {
        $crate::conformance::Row {
            id: $id,
            level: $level,
            case: $case,
            does: $does,
            on: $on,
            check: $crate::conformance::Check::Run(|transport| Box::pin($check(transport))),
        }
    };
    (shown by $test:literal, $id:literal, $level:literal, $on:expr, $case:literal, $does:literal) => {
        $crate::conformance::Row {
            id: $id,
            level: $level,
            case: $case,
            does: $does,
            on: $on,
            check: $crate::conformance::Check::ShownBy($test),
        }
    };
}
pub(crate) use row;

struct Chapter {
    title: &'static str,
    rows: Vec<Row>,
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/otlp-conformance.md");

/// Where those tests are, below the repository's root.
const ELSEWHERE: &str = "tests/it/abuse.rs";

const HEAD: &str = "\
# OTLP conformance

What the OTLP specification asks of a server, row by row, and whether Sextant does it on each transport. This page is written by
the tests: `collector/tests/it/conformance` has a check for each row, named after its id, and a run whose results differ from this
page fails; a few rows need the whole program, and name its test. `UPDATE_REFERENCE=1 cargo test -p collector conformance` writes it anew.

Levels: MUST, SHOULD and MAY are the specification's; `-` follows from another rule or from gRPC and HTTP themselves; `own` is left
open by the specification, and is Sextant's decision. What is received, answered and stored in detail:
[reference/otlp.md](reference/otlp.md).
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_holds_and_the_page_says_so() {
    let chapters = [
        Chapter { title: "gRPC", rows: grpc::rows() },
        Chapter { title: "HTTP", rows: http::rows() },
        Chapter { title: "JSON", rows: json::rows() },
        Chapter { title: "Semantics", rows: semantics::rows() },
    ];
    let mut page = HEAD.to_owned();
    let mut failed = Vec::new();
    let (mut checks, mut shown) = (0, 0);
    let elsewhere = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(ELSEWHERE));
    let elsewhere = elsewhere.expect("the tests of the whole program");
    for chapter in &chapters {
        let _ = write!(
            page,
            "\n## {}\n\n| id | level | case | what Sextant does | result |\n|---|---|---|---|---|\n",
            chapter.title
        );
        for row in &chapter.rows {
            let (does, result) = match row.check {
                Check::ShownBy(test) => {
                    assert!(elsewhere.contains(&format!("async fn {test}()")), "{}: no test {test}", row.id);
                    shown += 1;
                    (row.does, format!("shown by `{ELSEWHERE}`, `{test}`"))
                }
                Check::Run(check) => {
                    let mut passed = Vec::new();
                    for transport in row.on {
                        checks += 1;
                        match tokio::spawn(check(*transport)).await {
                            Ok(()) => passed.push(transport.name()),
                            Err(_) => failed.push(format!("{} on {}", row.id, transport.name())),
                        }
                    }
                    (row.does, format!("pass ({})", passed.join("; ")))
                }
            };
            let _ = writeln!(page, "| {} | {} | {} | {does} | {result} |", row.id, row.level, row.case);
        }
    }
    let rows: usize = chapters.iter().map(|chapter| chapter.rows.len()).sum();
    let _ = write!(page, "\n{rows} rows, {checks} checks, {shown} shown elsewhere.\n");
    println!("{rows} rows, {checks} checks, {shown} shown elsewhere");
    assert!(failed.is_empty(), "these rows do not hold: {failed:?}");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(PAGE, &page).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(PAGE).unwrap_or_default();
    let differs = committed.lines().zip(page.lines()).find(|(committed, page)| committed != page);
    assert!(
        committed == page,
        "docs/otlp-conformance.md is not what this run gives (UPDATE_REFERENCE=1 writes it anew): {differs:?}"
    );
}
