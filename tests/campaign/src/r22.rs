//! R22: half of what the server can take, for long. Memory, open files and answer times do not grow, and all that was
//! acknowledged is counted at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::binary::{Server, Setup, Subject};
use crate::faults;
use crate::figures::{Figures, Times, mib, ms};
use crate::ledger::Ledger;
use crate::load::{self, Load};
use crate::resident::Watch;

const CONNECTIONS: u64 = 8;
const RECORDS_MAX: u64 = 100;
/// Looks at the server during the soak.
const LOOKS: u32 = 60;
/// The share of the soak after which everything that fills up once has filled up.
const WARM: f64 = 1.0 / 3.0;
/// Of what is resident at rest when warm, by the hour.
const GROWTH_MAX: f64 = 0.05;
/// From the end of the load until everything is in parts and nothing is left to merge.
const REST_MAX: Duration = Duration::from_secs(300);
/// It rests when its parts have stayed as they are for so long.
const QUIET: Duration = Duration::from_secs(5);

/// How long, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long half of what can be taken is sent.
    pub soak: Duration,
    /// How long it is found out before what that is.
    pub trial: Duration,
    /// After how long rows are flushed: a server at rest has none in memory.
    pub flush_interval_s: u64,
    /// Whether it is long enough for growth to mean anything.
    pub judges_growth: bool,
}

impl Default for Plan {
    fn default() -> Self {
        let (soak, trial) = (Duration::from_secs(3_600), Duration::from_secs(10));
        Self { soak, trial, flush_interval_s: 30, judges_growth: true }
    }
}

#[derive(Clone, Copy, Debug)]
struct Look {
    files: usize,
    p99: Duration,
}

/// Soaks; `progress` is told of the time that has passed.
pub async fn run(
    subject: &Subject,
    plan: &Plan,
    seed: u64,
    mut progress: impl FnMut(Duration),
) -> anyhow::Result<Figures> {
    let mut figures = Figures::new("R22");
    let directory = tempfile::tempdir()?;
    let setup = Setup::new(subject, directory.path());
    setup.configure(&format!("log = \"warn\"\n[store]\nflush_interval_s = {}\n", plan.flush_interval_s))?;
    let mut server = setup.start().await?;
    let watch = Watch::start(server.id()?);
    let ledger = Arc::new(Ledger::default());

    let requests = |ledger: &Ledger| ledger.entries().len() as f64;
    let of_load =
        load::Plan { connections: CONNECTIONS, records_max: RECORDS_MAX, requests_max: u64::MAX, seed, pause: None };
    let load = Load::start(&server, &ledger, of_load)?;
    tokio::time::sleep(plan.trial).await;
    load.end().await?;
    let capacity = requests(&ledger) / plan.trial.as_secs_f64();
    figures.note("can take", format!("{capacity:.0} requests/s"));

    let pause = Some(Duration::from_secs_f64(CONNECTIONS as f64 / (capacity / 2.0)));
    let before = requests(&ledger);
    let (mut passed, mut halves, mut at_rest) = (Duration::ZERO, Vec::new(), Vec::new());
    for (half, share) in [WARM, 1.0 - WARM].into_iter().enumerate() {
        let load = Load::start(&server, &ledger, load::Plan { pause, seed: seed + 1 + half as u64, ..of_load })?;
        let (began, looks) = (Instant::now(), (f64::from(LOOKS) * share).round() as u32);
        let mut seen = Vec::new();
        for number in 1..=looks {
            tokio::time::sleep_until((began + plan.soak.mul_f64(share) * number / looks).into()).await;
            progress(passed + began.elapsed());
            anyhow::ensure!(server.ended()?.is_none(), "the server has ended: {}", setup.stderr());
            seen.push(look(&server).await?);
        }
        load.end().await?;
        passed += began.elapsed();
        halves.push(seen);
        at_rest.push(rest(&server, &watch).await?);
    }
    let rate = (requests(&ledger) - before) / passed.as_secs_f64();
    figures.note("was given", format!("{rate:.0} requests/s for {} s", plan.soak.as_secs()));
    figures.note("resident at most", mib(watch.most()));
    judge(plan, &at_rest, &halves, &mut figures);

    let acknowledged = ledger.acknowledged();
    let counted = counted(&server).await?;
    figures.note("records", format!("{acknowledged} acknowledged, {counted} counted"));
    figures.expect(acknowledged == counted, || format!("{acknowledged} acknowledged, but {counted} counted"));
    server.kill().await?;
    let restarted = Instant::now();
    let mut server = setup.start().await?;
    figures.note("ready after a kill in", ms(restarted.elapsed()));
    let counted = self::counted(&server).await?;
    figures.expect(acknowledged == counted, || format!("after a kill {counted} of {acknowledged} are counted"));
    if let Some(found) = faults::end(&setup, &mut server, &ledger).await? {
        figures.note("rows read by DuckDB", found.rows.to_string());
        figures.wrong.extend(found.describe().map(|what| format!("in the parts: {what}")));
    }
    Ok(figures)
}

fn judge(plan: &Plan, at_rest: &[u64], halves: &[Vec<Look>], figures: &mut Figures) {
    let ([warm, end], [early, late]) = (at_rest, halves) else { return };
    let hours = plan.soak.as_secs_f64() * (1.0 - WARM) / 3600.0;
    let growth = (*end as f64 - *warm as f64) / *warm as f64 / hours;
    figures.note("resident at rest, warm and at the end", format!("{} and {}", mib(*warm), mib(*end)));
    figures.note("growth by the hour", format!("{:.1} %", growth * 100.0));
    figures.expect(!plan.judges_growth || growth < GROWTH_MAX, || {
        format!("memory grows by {:.1} % an hour", growth * 100.0)
    });
    let files = |looks: &[Look]| looks.iter().map(|look| look.files).max().unwrap_or_default();
    figures.note("open files at most, until warm and later", format!("{} and {}", files(early), files(late)));
    figures.expect(files(late) < files(early) * 2 + 50, || format!("{} files were open", files(late)));
    let p99 = |looks: &[Look]| {
        let mut sorted: Vec<Duration> = looks.iter().map(|look| look.p99).collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    };
    figures.note("p99 of queries, until warm and later", format!("{} and {}", ms(p99(early)), ms(p99(late))));
}

async fn look(server: &Server) -> anyhow::Result<Look> {
    let mut times = Times::default();
    for _ in 0..20 {
        let asked = Instant::now();
        faults::answers(server).await?;
        times.push(asked.elapsed());
    }
    let files = std::fs::read_dir(format!("/proc/{}/fd", server.id()?)).context("cannot list open files")?.count();
    Ok(Look { files, p99: times.quantile(0.99) })
}

// What is resident once nothing is left to do: under load it depends on which flush and which merge is under way.
async fn rest(server: &Server, watch: &Watch) -> anyhow::Result<u64> {
    let began = Instant::now();
    let (mut since, mut then) = (Instant::now(), None);
    while since.elapsed() < QUIET {
        anyhow::ensure!(began.elapsed() < REST_MAX, "the server does not come to rest");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let status = server.client().status().await?;
        let in_memory: u64 = status.tables.values().map(|table| table.head_rows).sum();
        let parts =
            (in_memory, status.tables.values().map(|table| (table.parts, table.part_bytes)).collect::<Vec<_>>());
        let merging = status.counters.get("sextant_merge_running").copied().unwrap_or_default();
        if in_memory > 0 || merging > 0 || then.as_ref() != Some(&parts) {
            (since, then) = (Instant::now(), Some(parts));
        }
    }
    Ok(watch.now())
}

// By the server's own counting, which reads every log record and span, but sends none.
async fn counted(server: &Server) -> anyhow::Result<u64> {
    let client = server.client();
    let tables = client.status().await?.tables;
    let rows = |table: &str| tables.get(table).map_or(0, |size| size.head_rows + size.part_rows);
    for (table, path) in [("logs", "/api/v1/logs/histogram"), ("spans", "/api/v1/spans/histogram")] {
        let histogram = client.histogram(path, "", "-1d", "+1h", 10).await?;
        let (found, rows) = (histogram.total, rows(table));
        anyhow::ensure!(histogram.partial || found == rows, "{path} finds {found} of {rows} rows");
    }
    Ok(rows("logs") + rows("spans") + rows("points"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_judged_by_the_hour() {
        let look = Look { files: 20, p99: Duration::from_millis(3) };
        for (end, held) in [(102, true), (95, true), (104, false)] {
            let mut figures = Figures::new("R22");
            judge(&Plan::default(), &[100, end], &[vec![look], vec![look]], &mut figures);
            assert_eq!(figures.wrong.is_empty(), held, "{end}: {:?}", figures.wrong);
        }
    }
}
