//! The one way in behind every door: limits, conversion, the store.
//!
//! A door reads a request's bytes into a [`Arrival`] and hands it over; what comes back is what the sender is told. Nothing
//! here knows of gRPC or HTTP.

use std::num::NonZero;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use model::memory::Memory;
use model::stats::Stats;
use model::wire::status::MetricSeries;
use model::{Clock, Signal};
use store::schema::{LogColumns, PointColumns, SpanColumns};
use store::{Batch, Cutoffs, Writer};

use crate::conversions::Conversions;
use crate::convert::{self, Context, Encoding, Form, Limits, SeriesGate};
use crate::pipeline::{Passage, Pipeline, Reservation};
use crate::receipts::Fingerprint;
use crate::receiver::Door;
use crate::receiver::decode::{self, Compression};
use crate::receiver::drain::Drain;
use crate::stats::Counters;
use crate::{Config, Outcome, Refusal, limits};

/// The way in. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    // There once the store is open.
    writer: OnceLock<Writer>,
    clock: Arc<dyn Clock>,
    counters: Counters,
    pipeline: Arc<Pipeline>,
    // Large conversions at a time: more than there are cores would only hold more memory.
    conversions: Conversions,
    drain: Drain,
    limits: Limits,
    series: SeriesGate,
}

/// A request whose bytes have all arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub door: Door,
    pub signal: Signal,
    pub form: Form,
    pub compression: Compression,
    pub body: Bytes,
    pub reservation: Reservation,
}

impl Intake {
    /// A way into the store. `config` is expected to have passed [`Config::check`].
    pub fn new(config: Config, writer: Writer, clock: Arc<dyn Clock>, stats: Stats) -> Self {
        let intake = Self::starting(config, clock, stats);
        intake.open(writer);
        intake
    }

    /// The same before the store is there: until [`Intake::open`] every request is told to come again later.
    pub fn starting(config: Config, clock: Arc<dyn Clock>, stats: Stats) -> Self {
        Self::within(config, Memory::unlimited(), clock, stats)
    }

    /// The same in a process that may take so much memory.
    pub fn within(config: Config, memory: Memory, clock: Arc<dyn Clock>, stats: Stats) -> Self {
        let limits = Limits::new(&config, memory.limit());
        let counters = Counters::new(stats);
        let pipeline = Pipeline::new(config.in_flight_bytes_max, memory.clone(), counters.in_flight_bytes.clone());
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        // All of them at their greatest take half of the memory.
        let at_a_time = memory.limit() / 2 / limits.decoded_bytes_max.max(1);
        let conversions = Conversions::new(cores.min(usize::try_from(at_a_time).unwrap_or(cores)).max(1));
        let series = SeriesGate::new(&config, Arc::clone(&clock), counters.stats());
        let writer = OnceLock::new();
        let drain = Drain::default();
        Self {
            inner: Arc::new(Inner { config, writer, clock, counters, pipeline, conversions, drain, limits, series }),
        }
    }

    /// From now on requests are taken, and go to this store.
    pub fn open(&self, writer: Writer) {
        let room = writer.clone();
        // An intake is opened once; a second store would be a defect in the wiring, and the first one goes on.
        let first = self.inner.writer.set(writer).is_ok();
        debug_assert!(first, "the intake was open already");
        self.inner.pipeline.open(move |bytes| room.has_room(bytes));
    }

    /// The metrics with the most series that points have come for within an hour or two.
    pub fn largest_metrics(&self, limit: usize) -> Vec<MetricSeries> {
        self.inner.series.largest(limit)
    }

    /// Closes the doors: from now on every request is told to come again later. Returns when all that was on its way into
    /// the store has been answered.
    pub async fn close(&self) {
        self.inner.pipeline.close().await;
    }

    /// Returns when requests are taken.
    pub(crate) async fn opened(&self) {
        self.inner.pipeline.opened().await;
    }

    /// Returns when [`Intake::close`] was called.
    pub(crate) async fn closed(&self) {
        self.inner.pipeline.closed().await;
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The bounds of conversion.
    pub(crate) fn limits(&self) -> Limits {
        self.inner.limits
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Where the rest of refused bodies goes.
    pub(crate) fn drain(&self) -> &Drain {
        &self.inner.drain
    }

    /// Room for a request that begins to arrive.
    pub(crate) fn reserve(&self) -> Result<Reservation, Refusal> {
        self.inner.pipeline.reserve()
    }

    /// Converts and stores a request. On `Ok` its accepted items are durable.
    ///
    /// The work goes on where nobody waits for it any more, because its sender went away: the counters stay exact, and the
    /// memory stays counted for as long as it is held.
    pub(crate) async fn accept(&self, arrival: Arrival) -> Result<Outcome, Refusal> {
        let passage = self.inner.pipeline.enter()?;
        let inner = Arc::clone(&self.inner);
        let work = tokio::spawn(async move { inner.carry(arrival, passage).await });
        work.await.unwrap_or_else(|_| Err(Refusal::Defect))
    }
}

impl Intake {
    /// Converts and stores a small request of this process itself, which no door counts.
    pub(crate) async fn accept_uncounted(
        &self,
        signal: Signal,
        encoding: Encoding,
        body: Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        let _passage = self.inner.pipeline.enter()?;
        let (batch, outcome) = self.inner.to_batch(signal, &body, Form::Otlp(encoding), false)?;
        self.inner.store(batch).await?;
        Ok(outcome)
    }
}

impl Inner {
    async fn carry(self: Arc<Self>, arrival: Arrival, _passage: Passage) -> Result<Outcome, Refusal> {
        let started = self.clock.monotonic();
        let (door, signal) = (arrival.door, arrival.signal);
        let inline_max = match arrival.compression {
            Compression::Identity => limits::INLINE_BYTES_MAX,
            Compression::Gzip => limits::INLINE_COMPRESSED_BYTES_MAX,
            Compression::Zstd | Compression::Snappy => 0,
        };
        let (outcome, print) = if arrival.body.len() <= inline_max {
            let (batch, outcome, print, _reservation) = self.convert(arrival)?;
            self.store(batch).await?;
            (outcome, print)
        } else {
            self.carry_aside(arrival).await?
        };
        self.counters.stored(door, signal, &outcome, print, self.clock.monotonic().saturating_sub(started));
        Ok(outcome)
    }

    // The same on other threads: conversion takes a core for a while, and then the store's encoding of the batch takes one for less. That
    // one is not made to stand back: what is converted holds memory until it is stored.
    async fn carry_aside(self: &Arc<Self>, arrival: Arrival) -> Result<(Outcome, Fingerprint), Refusal> {
        let inner = Arc::clone(self);
        let (batch, outcome, print, _reservation) = self.conversions.run(move || inner.convert(arrival)).await??;
        let inner = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || runtime.block_on(inner.store(batch)));
        work.await.unwrap_or(Err(Refusal::Defect))?;
        Ok((outcome, print))
    }

    async fn store(&self, batch: Batch) -> Result<(), Refusal> {
        if batch.is_empty() {
            return Ok(());
        }
        self.writer()?.append(batch).await.map(|_| ()).map_err(Refusal::Store)
    }

    fn writer(&self) -> Result<&Writer, Refusal> {
        self.writer.get().ok_or(Refusal::Starting)
    }

    // The work of one core: decompression and conversion.
    fn convert(&self, arrival: Arrival) -> Result<(Batch, Outcome, Fingerprint, Reservation), Refusal> {
        let Arrival { door, signal, form, compression, body, mut reservation } = arrival;
        let wire_bytes = body.len();
        let bytes_max = self.config.request_bytes_max;
        let bytes = decode::decompress(compression, body, bytes_max, |more| reservation.grow(more))?;
        self.counters.arrived(door, signal, wire_bytes, bytes.len());
        let print = self.counters.receipts.fingerprint(signal, &bytes);
        let (batch, outcome) = self.to_batch(signal, &bytes, form, self.counters.receipts.knows(print))?;
        Ok((batch, outcome, print, reservation))
    }

    fn context<'a>(&'a self, cutoffs: &'a Cutoffs, is_repeated: bool) -> Context<'a> {
        Context {
            received: self.clock.now(),
            correlation_keys: &self.config.correlation_keys,
            limits: self.limits,
            series: Some(&self.series),
            retention: Some(cutoffs),
            is_repeated,
        }
    }

    fn to_batch(
        &self,
        signal: Signal,
        bytes: &[u8],
        form: Form,
        is_repeated: bool,
    ) -> Result<(Batch, Outcome), Refusal> {
        let writer = self.writer()?;
        // What is expired is so at one moment for all of the request.
        let cutoffs = writer.retention().cutoffs();
        let context = &self.context(&cutoffs, is_repeated);
        let refused = Refusal::Undecodable;
        let points = || PointColumns::new(writer.series_key());
        let encoding = match form {
            Form::Otlp(encoding) => encoding,
            Form::RemoteWrite(version) => {
                let mut columns = points();
                let outcome = convert::remote_write(bytes, version, context, &mut columns).map_err(refused)?;
                return Ok((columns.finish(), outcome));
            }
        };
        Ok(match signal {
            Signal::Logs => {
                let mut columns = LogColumns::default();
                let outcome = convert::logs(bytes, encoding, context, &mut columns).map_err(refused)?;
                (columns.finish(), outcome)
            }
            Signal::Spans => {
                let mut columns = SpanColumns::default();
                let outcome = convert::spans(bytes, encoding, context, &mut columns).map_err(refused)?;
                (columns.finish(), outcome)
            }
            Signal::Points => {
                let mut columns = points();
                let outcome = convert::points(bytes, encoding, context, &mut columns).map_err(refused)?;
                (columns.finish(), outcome)
            }
        })
    }
}
