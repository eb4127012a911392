//! One target, again and again: when, what is asked, what is made of the answer, and what is said about it. The thin side of
//! [`Known`], which decides.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::{Clock, Signal, Timestamp};
use tokio::sync::{Semaphore, watch};

use super::client::{self, Connection, Failure, Question, Unanswered};
use super::exposition::Format;
use super::harvest::{Alive, Family, Harvest, Series};
use super::known::{Asked, Known, Room, join};
use super::labels::{LabelSet, Labels, NAME};
use super::moment::{aligned, next_moment, phase};
use super::negotiation::{accept, format_of};
use super::request::Request;
use super::stats::ScrapeStats;
use super::target::Target;
use crate::convert::{Form, Version};
use crate::intake::Arrival;
use crate::limits::{INLINE_BYTES_MAX, SCRAPE_SAMPLE_BYTES, SCRAPES_AT_A_TIME};
use crate::pipeline::Reservation;
use crate::receiver::Door;
use crate::receiver::decode::Compression;
use crate::{Intake, Outcome, Refusal, RefusalKind};

/// What all targets work with.
pub(super) struct Shared {
    pub(super) intake: Intake,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stats: ScrapeStats,
    pub(super) user_agent: String,
    // For scrapes under way.
    pub(super) places: Semaphore,
    // Lines that all targets remember.
    pub(super) lines: AtomicU64,
    // How many targets have these labels now.
    pub(super) present: Mutex<HashMap<LabelSet, usize>>,
}

impl Shared {
    fn show_places(&self) {
        let free = self.places.available_permits();
        self.stats.under_way.set(SCRAPES_AT_A_TIME.saturating_sub(free) as u64);
    }
}

/// Why a target is no longer scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is.
    None,
    /// Someone else goes on with what is known of it.
    Handover,
    /// It is gone.
    Gone,
    /// The server stops.
    Stop,
}

/// How a target is, for those who ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    /// Nothing before the first scrape.
    pub(super) is_up: Option<bool>,
    /// Empty if there is none.
    pub(super) last_error: String,
    pub(super) last_scrape: Option<Timestamp>,
    pub(super) took: Duration,
    pub(super) families: Arc<Vec<(String, Arc<Family>)>>,
    edition: u64,
}

/// One target.
pub(super) struct Repeat {
    pub(super) target: Arc<Target>,
    pub(super) shared: Arc<Shared>,
    pub(super) health: Arc<Mutex<Health>>,
    /// Why every scrape fails, if the job has too many targets.
    pub(super) forced: Arc<Mutex<Option<String>>>,
    pub(super) known: Known,
    reports: [Series; 5],
    connection: Option<Connection>,
    was_scraped: bool,
    // Of the lines of all targets those of this one.
    lines: u64,
}

const REPORTS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

type Body = (Bytes, Format);

impl Repeat {
    pub(super) fn new(
        target: Arc<Target>,
        shared: Arc<Shared>,
        health: Arc<Mutex<Health>>,
        forced: Arc<Mutex<Option<String>>>,
        known: Known,
    ) -> Self {
        let reports = REPORTS.map(|name| {
            let mut labels = Labels::of([(NAME, name)]);
            join(&mut labels, &target.labels, false);
            Series { labels: labels.finish(), family: Arc::default() }
        });
        Self { target, shared, health, forced, known, reports, connection: None, was_scraped: false, lines: 0 }
    }

    /// Scrapes until it is told to end, and gives back what is known.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<Ending>) -> Known {
        self.present(true);
        let interval = self.target.interval_ms;
        let phase = phase(&self.target);
        let mut nominal = next_moment(self.now(), interval, phase);
        while self.sleep_until(nominal, &mut stop).await {
            let at = aligned(self.now(), nominal, interval);
            if !self.scrape(at, &mut stop).await {
                break;
            }
            let now = self.now();
            let next = next_moment(now.max(nominal), interval, phase);
            self.shared.stats.skipped(&self.target.job.name, (next - nominal) / interval - 1);
            // A clock that was put back has other moments.
            nominal = if now < nominal - interval { next_moment(now, interval, phase) } else { next };
        }
        self.present(false);
        if *stop.borrow() == Ending::Gone {
            self.end(nominal, &mut stop).await;
        }
        self.count_lines(0);
        self.known
    }

    fn present(&self, is_present: bool) {
        let mut present = self.shared.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.entry(self.target.labels.clone()).or_default();
        *count = if is_present { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            present.remove(&self.target.labels);
        }
    }

    fn now(&self) -> i64 {
        self.shared.clock.now().as_millis()
    }

    // Whether the moment has come; else there is something else to do.
    async fn sleep_until(&self, moment: i64, stop: &mut watch::Receiver<Ending>) -> bool {
        let clock = &self.shared.clock;
        let wait = Duration::from_millis(u64::try_from(moment.saturating_sub(self.now())).unwrap_or(0));
        tokio::select! {
            biased;
            _ = stop.wait_for(|ending| *ending != Ending::None) => false,
            () = clock.sleep_until(clock.monotonic() + wait) => true,
        }
    }

    // One scrape; `false` if it was cut off.
    async fn scrape(&mut self, at: i64, stop: &mut watch::Receiver<Ending>) -> bool {
        let started = self.shared.clock.monotonic();
        self.shared.stats.begun(&self.target.job.name);
        let mut reservation = match self.shared.intake.reserve() {
            Ok(reservation) => reservation,
            Err(refusal) => {
                self.lose(&refusal, at, 0, None);
                return true;
            }
        };
        let asked = tokio::select! {
            biased;
            _ = stop.wait_for(|ending| *ending != Ending::None) => return false,
            answer = self.ask_in_time(&mut reservation) => answer,
        };
        match asked {
            Ok(body) => self.finish(at, started, Ok(body), reservation).await,
            Err(Unanswered::Failed(failure)) => self.finish(at, started, Err(failure), reservation).await,
            Err(Unanswered::Refused(refusal)) => self.lose(&refusal, at, 0, None),
        }
        true
    }

    async fn ask_in_time(&mut self, reservation: &mut Reservation) -> Result<Body, Unanswered> {
        let forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(why) = forced {
            return Err(Failure::new("target_limit", why).into());
        }
        let shared = Arc::clone(&self.shared);
        let timeout = Duration::from_millis(self.target.timeout_ms.unsigned_abs());
        let late = shared.clock.sleep_until(shared.clock.monotonic() + timeout);
        // What is half read is not used again.
        let mut connection = self.connection.take();
        let (asked, was_waiting) = {
            let mut is_waiting = true;
            let waiting = &mut is_waiting;
            let asking = async {
                let _place = shared.places.acquire().await;
                *waiting = false;
                shared.show_places();
                self.ask(&mut connection, reservation).await
            };
            let asked = tokio::select! {
                asked = asking => Some(asked),
                () = late => None,
            };
            (asked, is_waiting)
        };
        self.shared.show_places();
        match asked {
            Some(asked) => {
                self.connection = connection.filter(|_| asked.is_ok());
                asked
            }
            None if was_waiting => {
                Err(Failure::new("no_place", "other scrapes took all places until the timeout").into())
            }
            None => Err(Failure::new("timeout", format!("no whole answer within {} s", timeout.as_secs_f64())).into()),
        }
    }

    async fn ask(
        &self,
        connection: &mut Option<Connection>,
        reservation: &mut Reservation,
    ) -> Result<Body, Unanswered> {
        let job = &self.target.job;
        let whole = self.shared.intake.config().request_bytes_max;
        let (bytes_max, limit) = match job.limits.body_bytes {
            0 => (whole, "collector.request_bytes_max"),
            own => (own.min(whole), "body_size_limit"),
        };
        let question = Question {
            url: &self.target.url,
            http: &job.http,
            headers: vec![
                ("accept", accept(job)),
                ("x-prometheus-scrape-timeout-seconds", (self.target.timeout_ms as f64 / 1000.0).to_string()),
            ],
            user_agent: &self.shared.user_agent,
            bytes_max,
            limit,
        };
        let answer = client::ask(&question, connection, Some(reservation)).await?;
        let format = format_of(&answer.content_type).or(job.fallback).ok_or_else(|| {
            let message = format!(
                "received unsupported Content-Type {:?} and no fallback_scrape_protocol specified for target",
                answer.content_type
            );
            Failure::new("content_type", message)
        })?;
        Ok((answer.body, format))
    }

    // From an answer, or none, to rows.
    async fn finish(&mut self, at: i64, started: Duration, body: Result<Body, Failure>, mut reservation: Reservation) {
        let (harvest, failure) = match body {
            Ok((body, format)) => {
                let mut work = || self.take(&body, format, at);
                if body.len() <= INLINE_BYTES_MAX { work() } else { client::aside(work) }
            }
            Err(failure) => (Harvest::default(), Some(failure)),
        };
        let took = self.shared.clock.monotonic().saturating_sub(started);
        let ended = self.known.ended(&harvest.alive);
        let (message, samples) = self.request(at, took, failure.is_none(), &harvest, &ended);
        let job = self.target.job.name.clone();
        let stats = self.shared.stats.clone();
        stats.scraped(&job, harvest.scraped, took);
        stats.left_out(&job, harvest.left_out);
        if let Some(failure) = &failure {
            stats.failed(&job, failure.reason);
        }
        let Harvest { alive, samples: taken, .. } = harvest;
        drop((taken, ended));
        let result = match reservation.grow(message.len()) {
            Ok(()) => self.store(message, reservation).await,
            Err(refusal) => Err(refusal),
        };
        match result {
            Ok(outcome) => self.stored(&outcome, alive, at, took, failure),
            Err(refusal) => {
                self.lose(&refusal, at, samples, failure.as_ref());
                self.show(|health| health.took = took);
                // What will never be taken as it is is a target that is down; the others may be up the next time.
                if !matches!(refusal.kind(), RefusalKind::Transient { .. })
                    && let Ok(reservation) = self.shared.intake.reserve()
                {
                    let (message, _) = self.request(at, took, false, &Harvest::default(), &[]);
                    let _ = self.store(message, reservation).await;
                    self.show(|health| health.is_up = Some(false));
                }
            }
        }
    }

    // What a scrape came to, and how many samples that is. What is said about it stands first, so that there is room for that if
    // for anything.
    fn request(
        &self,
        at: i64,
        took: Duration,
        is_up: bool,
        harvest: &Harvest,
        ended: &[Arc<Series>],
    ) -> (Vec<u8>, u64) {
        let values = [f64::from(u8::from(is_up)), took.as_secs_f64()];
        let counts = [harvest.scraped, harvest.kept, harvest.added].map(|count| count as f64);
        let mut request = Request::new();
        for (series, value) in self.reports.iter().zip(values.into_iter().chain(counts)) {
            request.sample(series, value, at, None);
        }
        harvest.samples.iter().for_each(|taken| request.add(taken));
        ended.iter().for_each(|series| request.end(series, at));
        let samples = request.samples;
        (request.finish(), samples)
    }

    fn take(&mut self, body: &[u8], format: Format, at_millis: i64) -> (Harvest, Option<Failure>) {
        let intake = &self.shared.intake;
        let others = self.shared.lines.load(Ordering::Relaxed).saturating_sub(self.lines);
        let room = Room {
            samples: intake.limits().decoded_bytes_max / SCRAPE_SAMPLE_BYTES,
            lines: intake.config().series_max.saturating_sub(others),
        };
        let asked = Asked { job: &self.target.job, labels: &self.target.labels, at_millis, room };
        let (mut harvest, read) = self.known.take(body, format, asked);
        self.count_lines(self.known.lines());
        let Err(fault) = read else { return (harvest, None) };
        harvest.samples.clear();
        harvest.alive.clear();
        (harvest, Some(Failure::new(fault.reason(), fault.to_string())))
    }

    fn count_lines(&mut self, lines: u64) {
        // Wrapping: less is more by a number that is almost as large as there can be.
        self.shared.lines.fetch_add(lines.wrapping_sub(self.lines), Ordering::Relaxed);
        self.lines = lines;
    }

    async fn store(&self, message: Vec<u8>, reservation: Reservation) -> Result<Outcome, Refusal> {
        let (door, signal) = (Door::Scrape, Signal::Points);
        let (form, compression, body) = (Form::RemoteWrite(Version::Two), Compression::Identity, message.into());
        let intake = &self.shared.intake;
        let result = intake.accept(Arrival { door, signal, form, compression, body, reservation }).await;
        intake.counters().answered(door, signal, &result);
        result
    }

    fn stored(&mut self, outcome: &Outcome, alive: Alive, at: i64, took: Duration, failure: Option<Failure>) {
        self.known.stored(alive);
        self.was_scraped = true;
        let rejected = (!outcome.rejected.is_empty()).then(|| {
            let all = outcome.accepted + outcome.rejected.total();
            format!("{} of {all} samples rejected: {}", outcome.rejected.total(), outcome.rejection())
        });
        let is_up = failure.is_none();
        let error = failure.map(|failure| failure.message).or(rejected).unwrap_or_default();
        let edition = self.known.edition();
        let mut families = None;
        let is_new = self.health.lock().unwrap_or_else(PoisonError::into_inner).edition != edition;
        if is_new {
            let mut all: Vec<_> =
                self.known.families().map(|(name, family)| (name.to_owned(), Arc::clone(family))).collect();
            all.sort_by(|one, other| one.0.cmp(&other.0));
            families = Some(Arc::new(all));
        }
        self.note(&error);
        self.show(|health| {
            health.is_up = Some(is_up);
            health.last_error = error;
            health.last_scrape = Some(Timestamp::from_nanos(at.saturating_mul(1_000_000)));
            health.took = took;
            if let Some(families) = families {
                (health.families, health.edition) = (families, edition);
            }
        });
    }

    // Nothing of a scrape is stored: its series end by the next one that is, if they have to.
    fn lose(&mut self, refusal: &Refusal, at: i64, samples: u64, failure: Option<&Failure>) {
        self.shared.stats.lost(&self.target.job.name, refusal.reason(), samples);
        self.known.lost();
        let error = match failure {
            Some(failure) => format!("{}; and nothing of it is stored: {refusal}", failure.message),
            None => format!("the scrape is lost, nothing of it is stored: {refusal}"),
        };
        self.note(&error);
        self.show(|health| {
            health.is_up = health.is_up.map(|is_up| is_up && failure.is_none());
            health.last_error = error;
            health.last_scrape = Some(Timestamp::from_nanos(at.saturating_mul(1_000_000)));
        });
    }

    // What goes wrong is logged when it begins.
    fn note(&self, error: &str) {
        let was_well = self.health.lock().unwrap_or_else(PoisonError::into_inner).last_error.is_empty();
        if !error.is_empty() && was_well {
            let (job, url) = (&self.target.job.name, self.target.url.to_string());
            tracing::info!(job, url, "a scrape went wrong: {error}");
        }
    }

    fn show(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
    }

    // A target that is gone may come again, perhaps under another address or job: its series end two intervals after
    // they would have gone on, as in Prometheus, unless someone scrapes them by then.
    async fn end(&mut self, nominal: i64, stop: &mut watch::Receiver<Ending>) {
        if !self.was_scraped {
            return;
        }
        let interval = self.target.interval_ms;
        let clock = Arc::clone(&self.shared.clock);
        let first = u64::try_from(nominal.saturating_sub(self.now())).unwrap_or(0);
        let mut at = 0;
        for wait in [first, interval.unsigned_abs() + interval.unsigned_abs() / 10] {
            tokio::select! {
                _ = stop.wait_for(|ending| *ending != Ending::Gone) => return,
                () = clock.sleep_until(clock.monotonic() + Duration::from_millis(wait)) => {}
            }
            at = if at == 0 { self.now() } else { at };
        }
        let is_back =
            self.shared.present.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&self.target.labels);
        if is_back {
            return;
        }
        let ended = self.known.ended(&Alive::default());
        let (message, samples) = {
            let mut request = Request::new();
            self.reports.iter().for_each(|series| request.end(series, at));
            ended.iter().for_each(|series| request.end(series, at));
            let samples = request.samples;
            (request.finish(), samples)
        };
        let stored = match self.shared.intake.reserve() {
            Ok(reservation) => self.store(message, reservation).await.map(|_| ()),
            Err(refusal) => Err(refusal),
        };
        match stored {
            Ok(()) => self.known.stored(Alive::default()),
            Err(refusal) => self.shared.stats.lost(&self.target.job.name, refusal.reason(), samples),
        }
    }
}
