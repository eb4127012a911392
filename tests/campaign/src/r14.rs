//! R14: twice the load that can be taken, in a cgroup of 512 MiB. The kernel kills nobody, the process stays within its limit
//! and a tenth, what was acknowledged is what is stored, refusals say when to come again, whoever looks at the server is
//! answered meanwhile, and it takes requests at once when the load is gone.

mod onlooker;
mod sender;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::binary::{Server, Setup, Subject};
use crate::census;
use crate::cgroup::Cgroup;
use crate::faults;
use crate::figures::{Figures, mib};
use crate::ledger::Ledger;
use crate::resident::Watch;
use onlooker::Onlooker;
use sender::{Counts, Load, Sender};

/// What is tried, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long the overload lasts.
    pub seconds: Duration,
    /// Bytes that the cgroup allows, of which the process takes three quarters as its limit.
    pub cgroup_bytes: u64,
    /// In what time everything must work again once the load is gone.
    pub recovery_max: Duration,
    /// Whether the machine is the campaign's own, so that figures about time are worth something.
    pub judges_times: bool,
}

impl Default for Plan {
    fn default() -> Self {
        let (seconds, recovery_max) = (Duration::from_secs(600), Duration::from_secs(10));
        Self { seconds, cgroup_bytes: 512 << 20, recovery_max, judges_times: true }
    }
}

/// Requests under way at a time: what a crowd of exporters would have.
const CROWD: usize = 256;
/// Those that measure what the server can take: enough that it never waits for them.
const FEW: usize = 8;

/// Overloads.
pub async fn run(subject: &Subject, plan: &Plan, seed: u64) -> anyhow::Result<Figures> {
    let mut figures = Figures::new("R14");
    let directory = tempfile::tempdir()?;
    let limit = plan.cgroup_bytes / 4 * 3;
    let cgroup = Cgroup::new(plan.cgroup_bytes);
    let mut config = "log = \"error\"\n".to_owned();
    let mut setup = Setup::new(subject, directory.path());
    match &cgroup {
        Ok(cgroup) => {
            figures.note("held in", format!("{} of {}", cgroup.kind(), mib(plan.cgroup_bytes)));
            setup = setup.in_cgroup(cgroup.directory());
        }
        Err(error) => {
            // The limit of the process is tested all the same, only not the kernel's patience.
            figures.note("held in", format!("no cgroup ({error:#}): memory_bytes_max alone"));
            config.push_str(&format!("memory_bytes_max = {limit}\n"));
        }
    };
    // The census asks for everything, in pieces.
    config.push_str("[query]\ntime_budget_ms = 600000\nanswer_rows_max = 200000\n");
    setup.configure(&config)?;
    let mut server = setup.start().await?;
    let watch = Watch::start(server.id()?);
    let ledger = Arc::new(Ledger::default());

    // What it can take: as many as are taken when a few wait for each other.
    let capacity = {
        let patience = (plan.seconds / 6).clamp(Duration::from_secs(2), Duration::from_secs(30));
        let counts = Arc::new(Counts::default());
        Load { patience, at_a_time: FEW, pace: None, seed }.put(&Sender::new(&server, &ledger, &counts)?).await?;
        counts.stored.load(Ordering::Relaxed) as f64 / patience.as_secs_f64()
    };
    let counts = Arc::new(Counts::default());
    let pace = Some(Duration::from_secs_f64(1.0 / (2.0 * capacity).max(1.0)));
    let load = Load { patience: plan.seconds, at_a_time: CROWD, pace, seed: seed.wrapping_add(1) };
    let onlooker = Onlooker::start(server.client());
    let wrong = load.put(&Sender::new(&server, &ledger, &counts)?).await?;
    let relieved = Instant::now();
    let at_the_end = watch.now();
    let seen = onlooker.seen().await?;
    let recovered = recovery(&server, &ledger, relieved, 2 * plan.recovery_max, &mut figures.wrong).await?;

    tell(&mut figures, capacity, &counts, plan.seconds);
    seen.tell(&mut figures, plan.judges_times);
    let took = if recovered == Duration::MAX { "none".to_owned() } else { format!("{:.2} s", recovered.as_secs_f64()) };
    figures.note("recovery", &took);
    figures.expect(recovered < plan.recovery_max, || {
        format!("recovery: {took}, at most {:?} are good", plan.recovery_max)
    });
    let most = watch.most();
    figures.note("memory limit", mib(limit));
    figures.note(
        "resident",
        format!("{} at most, {} when the load ended, {} now", mib(most), mib(at_the_end), mib(watch.now())),
    );
    figures.expect(most <= limit / 10 * 11, || format!("{} were resident, the limit is {}", mib(most), mib(limit)));
    figures.wrong.extend(wrong.into_iter().take(5));

    if let Err(error) = check_books(&server, &ledger, &mut figures).await {
        figures.wrong.push(format!("the books cannot be compared: {error:#}"));
    }
    figures.note("resident with the census", format!("{} at most", mib(watch.most())));
    figures.expect(server.ended()?.is_none(), || "the server has ended".to_owned());
    if let Ok(cgroup) = &cgroup {
        figures.note("the cgroup's most, files included", cgroup.most().map_or("?".to_owned(), mib));
        figures.note("kills by the kernel", cgroup.kills().map_or("?".to_owned(), |kills| kills.to_string()));
        figures.expect(cgroup.kills().unwrap_or(0) == 0, || "the kernel has killed the server".to_owned());
    }
    if let Some(found) = faults::end(&setup, &mut server, &ledger).await? {
        figures.note("rows read by DuckDB", found.rows.to_string());
        figures.wrong.extend(found.describe().map(|what| format!("in the parts: {what}")));
    }
    Ok(figures)
}

fn tell(figures: &mut Figures, capacity: f64, counts: &Counts, patience: Duration) {
    let per_s = |number: u64| number as f64 / patience.as_secs_f64();
    let [offered, stored, refused, bytes] = [&counts.offered, &counts.stored, &counts.refused, &counts.bytes]
        .map(|counter| counter.load(Ordering::Relaxed));
    figures.note("capacity", format!("{capacity:.0} requests/s"));
    figures.note("overload", format!("{} s, {offered} requests, {:.0}/s", patience.as_secs(), per_s(offered)));
    figures.note("bytes sent", format!("{}, {:.1} MiB/s", mib(bytes), per_s(bytes) / f64::from(1 << 20)));
    let share = 100.0 * per_s(stored) / capacity.max(1.0);
    figures.note("stored", format!("{stored} requests, {:.0}/s, {share:.0} % of capacity", per_s(stored)));
    figures.note("refused for now", format!("{refused} requests"));
    figures.expect(stored > 0, || "nothing was stored".to_owned());
}

// Acknowledged = on the receipts = to be asked for.
async fn check_books(server: &Server, ledger: &Ledger, figures: &mut Figures) -> anyhow::Result<()> {
    let findings = census::take(&server.client(), ledger).await?;
    let receipts = server.client().status().await?.receipts;
    let accepted: u64 = receipts.iter().map(|of| of.accepted).sum();
    let (acknowledged, rows) = (ledger.acknowledged(), findings.rows);
    figures.note("records", format!("{acknowledged} acknowledged, {accepted} on receipts, {rows} stored"));
    figures.expect(findings.is_clean(), || {
        let [lost, repeated] = [&findings.lost, &findings.repeated].map(Vec::len);
        format!("{lost} lost, {repeated} repeated, {} unknown", findings.unknown.len())
    });
    figures.expect(accepted == rows, || format!("{accepted} on receipts, but {rows} stored"));
    figures.expect(acknowledged == rows, || format!("{acknowledged} acknowledged, but {rows} stored"));
    Ok(())
}

// Until some requests and a query are answered.
async fn recovery(
    server: &Server,
    ledger: &Arc<Ledger>,
    since: Instant,
    patience: Duration,
    wrong: &mut Vec<String>,
) -> anyhow::Result<Duration> {
    let counts = Arc::new(Counts::default());
    let sender = Sender::new(server, ledger, &counts)?;
    let mut answered = false;
    while (counts.stored.load(Ordering::Relaxed) < 3 || !answered) && since.elapsed() < patience {
        if let Err(error) = sender.send(fastrand::Rng::new()).await {
            wrong.push(format!("after the load: {error:#}"));
            break;
        }
        answered |= server.client().services("-1m", "+0s", 1).await.is_ok();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let recovered = counts.stored.load(Ordering::Relaxed) >= 3 && answered;
    Ok(if recovered { since.elapsed() } else { Duration::MAX })
}
