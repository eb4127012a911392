//! R22: half of what the server can take, for long. Memory, open files and answer times do not grow, and all that was
//! acknowledged is counted at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::binary::{Server, Setup, Subject};
use crate::faults;
use crate::figures::{Figures, Times, mib, ms};
use crate::ledger::Ledger;
use crate::load::{Load, Plan};
use crate::resident::Watch;

const CONNECTIONS: u64 = 8;
const RECORDS_MAX: u64 = 100;
/// How long it is found out what the server can take.
const TRIAL: Duration = Duration::from_secs(10);
/// Looks at the server during the soak.
const LOOKS: u32 = 60;
/// The share of the soak after which everything that fills up once has filled up.
const WARM: f64 = 1.0 / 3.0;
/// Of what is resident when warm, by the hour.
const GROWTH_MAX: f64 = 0.05;

#[derive(Clone, Copy, Debug)]
struct Look {
    hours: f64,
    resident: u64,
    files: usize,
    p99: Duration,
}

/// Soaks for `seconds`; `progress` is told of the time that has passed.
pub async fn run(
    subject: &Subject,
    seconds: Duration,
    seed: u64,
    mut progress: impl FnMut(Duration),
) -> anyhow::Result<Figures> {
    let mut figures = Figures::new("R22");
    let directory = tempfile::tempdir()?;
    let setup = Setup::new(subject, directory.path());
    setup.configure("log = \"warn\"\n")?;
    let mut server = setup.start().await?;
    let watch = Watch::start(server.id()?);
    let ledger = Arc::new(Ledger::default());

    let requests = |ledger: &Ledger| ledger.entries().len() as f64;
    let plan = Plan { connections: CONNECTIONS, records_max: RECORDS_MAX, requests_max: u64::MAX, seed, pause: None };
    let load = Load::start(&server, &ledger, plan)?;
    tokio::time::sleep(TRIAL).await;
    load.end().await?;
    let capacity = requests(&ledger) / TRIAL.as_secs_f64();
    figures.note("can take", format!("{capacity:.0} requests/s"));

    let pause = Duration::from_secs_f64(CONNECTIONS as f64 / (capacity / 2.0));
    let before = requests(&ledger);
    let load = Load::start(&server, &ledger, Plan { pause: Some(pause), seed: seed + 1, ..plan })?;
    let (began, mut looks) = (Instant::now(), Vec::new());
    for number in 1..=LOOKS {
        tokio::time::sleep_until((began + seconds * number / LOOKS).into()).await;
        progress(began.elapsed());
        anyhow::ensure!(server.ended()?.is_none(), "the server has ended: {}", setup.stderr());
        looks.push(look(&server, &watch, began).await?);
    }
    load.end().await?;
    let rate = (requests(&ledger) - before) / began.elapsed().as_secs_f64();
    figures.note("was given", format!("{rate:.0} requests/s for {} s", seconds.as_secs()));
    judge(&looks, &mut figures);

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

fn judge(looks: &[Look], figures: &mut Figures) {
    let warm = &looks[(looks.len() as f64 * WARM) as usize..];
    let (Some(first), Some(last)) = (warm.first(), warm.last()) else { return };
    let growth = slope(warm.iter().map(|look| (look.hours, look.resident as f64))) / first.resident as f64;
    figures.note("resident, warm to end", format!("{} to {}", mib(first.resident), mib(last.resident)));
    figures.note("growth by the hour", format!("{:.1} %", growth * 100.0));
    figures.expect(growth < GROWTH_MAX, || format!("memory grows by {:.1} % an hour", growth * 100.0));
    figures.note("open files, warm to end", format!("{} to {}", first.files, last.files));
    figures.expect(last.files < first.files * 2 + 50, || format!("{} files are open at the end", last.files));
    let p99 = |looks: &[Look]| {
        let mut sorted: Vec<Duration> = looks.iter().map(|look| look.p99).collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    };
    let (early, late) = warm.split_at(warm.len() / 2);
    figures.note("p99 of queries, first half and second", format!("{} and {}", ms(p99(early)), ms(p99(late))));
}

async fn look(server: &Server, watch: &Watch, began: Instant) -> anyhow::Result<Look> {
    let mut times = Times::default();
    for _ in 0..20 {
        let asked = Instant::now();
        faults::answers(server).await?;
        times.push(asked.elapsed());
    }
    let files = std::fs::read_dir(format!("/proc/{}/fd", server.id()?)).context("cannot list open files")?.count();
    let hours = began.elapsed().as_secs_f64() / 3600.0;
    Ok(Look { hours, resident: watch.now(), files, p99: times.quantile(0.99) })
}

// By least squares.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count() as f64;
    let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (above, below) = points.fold((0.0, 0.0), |(above, below), point| {
        (above + (point.0 - x) * (point.1 - y), below + (point.0 - x) * (point.0 - x))
    });
    if below == 0.0 { 0.0 } else { above / below }
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
    fn a_line_has_its_slope() {
        let points = (0..10).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x)));
        assert!((slope(points) - 2.0).abs() < 1e-9);
    }
}
