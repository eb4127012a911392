//! The one way into the store: callers make their records ready and queue them; one thread commits everything that has
//! queued up.

mod commit;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray as _;
use arrow::datatypes::UInt64Type;
use model::Signal;
use model::stats::{Gauge, Stats};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

pub(crate) use commit::Committer;

use crate::schema::{SeriesKey, column};
use crate::state::{self, StateChange};
use crate::store::Core;
use crate::wal::columns;
use crate::wal::record::{Kind, Payload};
use crate::{Batch, Retention, StoreError, limits};

/// Appends batches. Cheap to clone; all clones share one queue.
#[derive(Clone)]
pub struct Writer {
    core: Arc<Core>,
    queue: Arc<Queue>,
    series_key: SeriesKey,
}

/// Proof that a batch is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `ingest_seq` of the first item.
    pub first_seq: u64,
    /// Number of items.
    pub rows: u64,
}

impl Writer {
    pub(crate) fn new(core: Arc<Core>, queue: Arc<Queue>, series_key: SeriesKey) -> Writer {
        Writer { core, queue, series_key }
    }

    /// How long rows are kept: asked before a row is appended, because one that is expired on arrival would be stored and shown to
    /// nobody.
    pub fn retention(&self) -> &Retention {
        self.core.retention()
    }

    /// Whether the rows in memory will be within their bound with so many bytes more. Else [`Writer::append`] would soon refuse with
    /// [`StoreError::HeadFull`]: who asks before a request is read and converted has that work for flushes.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.core.all_head_bytes().saturating_add(bytes) < self.core.setup().config.head_bytes_max
    }

    /// The key that this data directory's series ids are hashed with.
    pub fn series_key(&self) -> SeriesKey {
        self.series_key
    }

    /// Commits a batch. When it returns the items are as durable as the configuration asks (fsynced by default) and every
    /// later snapshot shows them. On an error none of them will ever be shown, except after [`StoreError::Disk`], when a
    /// restart may find them: the caller says "try again", and a retried batch may then be stored twice.
    pub async fn append(&self, batch: Batch) -> Result<Receipt, StoreError> {
        if batch.is_empty() {
            return Ok(Receipt { first_seq: 0, rows: 0 });
        }
        let room = self.queue.room(batch.memory_bytes()).await?;
        let mut bytes = Vec::with_capacity(batch.memory_bytes());
        columns::encode(&batch, &mut bytes).map_err(|error| StoreError::Columns {
            operation: "log a batch",
            source: arrow::error::ArrowError::NotYetImplemented(error.to_string()),
        })?;
        let payload = payload(Kind::Rows(batch.signal), batch.len(), bytes)?;
        let series = series_of(&batch)?;
        let (answer, answered) = oneshot::channel();
        self.queue.push(Pending { payload, content: Content::Rows { batch, series }, answer, _room: room })?;
        answered.await.unwrap_or_else(|_| Err(died()))
    }

    /// Commits changes of state tables, all or none. Durable and visible like a batch.
    pub async fn change_state(&self, changes: Vec<StateChange>) -> Result<(), StoreError> {
        let bytes = state::encode(&changes);
        let room = self.queue.room(2 * bytes.len()).await?;
        let payload = payload(Kind::State, 1, bytes)?;
        let (answer, answered) = oneshot::channel();
        self.queue.push(Pending { payload, content: Content::State(changes), answer, _room: room })?;
        answered.await.unwrap_or_else(|_| Err(died())).map(|_| ())
    }
}

fn payload(kind: Kind, rows: usize, bytes: Vec<u8>) -> Result<Payload, StoreError> {
    let too_large = |bytes: usize| StoreError::TooLarge { bytes, limit: limits::RECORD_BYTES_MAX };
    let rows = u32::try_from(rows).map_err(|_| too_large(bytes.len()))?;
    Payload::new(kind, rows, bytes).map_err(too_large)
}

fn died() -> StoreError {
    StoreError::Closed { reason: "its commit thread has ended; restart".to_owned() }
}

// Ids and checks of the series that a batch of points names.
fn series_of(batch: &Batch) -> Result<Vec<(u64, u64)>, StoreError> {
    if batch.signal != Signal::Points {
        return Ok(Vec::new());
    }
    let numbers = |name: &'static str| {
        let column = batch.shared.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        column.ok_or_else(|| StoreError::Columns {
            operation: "log a batch of points",
            source: arrow::error::ArrowError::SchemaError(format!("its series have no numbers {name:?}")),
        })
    };
    let (ids, checks) = (numbers(column::SERIES_ID)?, numbers(column::SERIES_CHECK)?);
    Ok(ids.values().iter().copied().zip(checks.values().iter().copied()).collect())
}

/// What waits to be committed. Bounded in bytes.
pub(crate) struct Queue {
    room: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    arrived: Notify,
    bytes: Gauge,
}

#[derive(Default)]
struct Waiting {
    pending: Vec<Pending>,
    closed: bool,
}

struct Pending {
    payload: Payload,
    content: Content,
    answer: oneshot::Sender<Result<Receipt, StoreError>>,
    _room: Room,
}

enum Content {
    Rows { batch: Batch, series: Vec<(u64, u64)> },
    State(Vec<StateChange>),
}

// A place in the queue; given back when it is dropped.
struct Room {
    _permit: OwnedSemaphorePermit,
    bytes: u64,
    gauge: Gauge,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.gauge.sub(self.bytes);
    }
}

// The semaphore counts in these: its numbers have 32 bits.
const ROOM_UNIT_BYTES: usize = 1 << 10;

impl Queue {
    pub(crate) fn new(stats: &Stats) -> Queue {
        let gauge = stats.gauge("sextant_store_queue_bytes", "Bytes of batches that wait for their commit.", &[]);
        Queue {
            room: Arc::new(Semaphore::new(limits::COMMIT_QUEUE_BYTES_MAX / ROOM_UNIT_BYTES)),
            waiting: Mutex::default(),
            arrived: Notify::new(),
            bytes: gauge,
        }
    }

    // Waits for room. A batch that is larger than the whole queue takes all of it.
    async fn room(&self, bytes: usize) -> Result<Room, StoreError> {
        let units = bytes.min(limits::COMMIT_QUEUE_BYTES_MAX).div_ceil(ROOM_UNIT_BYTES);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| closed())?;
        self.bytes.add(bytes as u64);
        Ok(Room { _permit: permit, bytes: bytes as u64, gauge: self.bytes.clone() })
    }

    fn push(&self, pending: Pending) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(closed());
        }
        waiting.pending.push(pending);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    // Everything that waits, and whether nothing more can come.
    fn take(&self) -> (Vec<Pending>, bool) {
        let mut waiting = self.lock();
        (std::mem::take(&mut waiting.pending), waiting.closed)
    }

    /// Takes nothing more. What waits is still committed.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.arrived.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> StoreError {
    StoreError::Closed { reason: "it is shutting down".to_owned() }
}
