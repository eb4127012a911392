//! Caches in a Redis that processes share, under keys like `shop:prices:kettle`.
//!
//! A server that is away is a miss: it is told once, and not asked again for a moment, so that no request waits for it. Which entry goes when its memory is full is the server's to say
//! (`maxmemory`, `maxmemory-policy`), and its own to count: evictions are 0 here.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, FromRedisValue, RedisError, Script, cmd};
use async_trait::async_trait;
use bytes::Bytes;
use sextant_sdk::db::Query;
use tokio::time::{Instant, timeout};

use super::{Cache, Settings};
use crate::limits::{CACHE_AWAY, CACHE_WAIT_MAX, LOAD_LOCK};

/// The server.
#[derive(Debug)]
pub(super) struct Server {
    connection: Connection,
    /// Not asked before then.
    away_until: Mutex<Option<Instant>>,
    is_away: AtomicBool,
    /// Whose locks are ours.
    owner: String,
}

struct Connection(ConnectionManager);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("no answer within {} ms", CACHE_WAIT_MAX.as_millis())]
    TimedOut,
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl Unanswered {
    /// A server that says no is there.
    fn is_away(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Redis(error) => error.code().is_none(),
        }
    }
}

impl Server {
    pub(super) fn at(url: &str) -> Result<Arc<Self>, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(CACHE_WAIT_MAX))
            .set_number_of_retries(1)
            .set_max_delay(CACHE_AWAY);
        let connection = Connection(ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?);
        let owner = format!("{:016x}", fastrand::u64(..));
        Ok(Arc::new(Self { connection, away_until: Mutex::default(), is_away: AtomicBool::new(false), owner }))
    }

    pub(super) fn cache(self: &Arc<Self>, settings: Settings) -> Box<dyn Cache> {
        Box::new(Redis { server: Arc::clone(self), settings, entries: AtomicUsize::new(0) })
    }

    /// Nothing if it is away.
    async fn ask<T>(
        &self,
        query: Option<Query>,
        question: impl Future<Output = Result<T, RedisError>> + Send,
    ) -> Option<T> {
        let until = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let question = async {
            match timeout(CACHE_WAIT_MAX, question).await {
                Ok(answer) => answer.map_err(Unanswered::from),
                Err(_) => Err(Unanswered::TimedOut),
            }
        };
        let answer = match query {
            Some(query) => query.run(question).await,
            None => question.await,
        };
        self.heard(answer.as_ref().err().filter(|error| error.is_away()));
        answer.ok()
    }

    fn heard(&self, error: Option<&Unanswered>) {
        let was_away = self.is_away.swap(error.is_some(), Ordering::Relaxed);
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = error.map(|_| Instant::now() + CACHE_AWAY);
        match error {
            Some(error) if !was_away => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(name: "cache.unreachable", { error }, "Redis does not answer: everything is a miss");
            }
            None if was_away => tracing::info!(name: "cache.reachable", "Redis answers again"),
            _ => {}
        }
    }
}

#[derive(Debug)]
struct Redis {
    server: Arc<Server>,
    settings: Settings,
    /// As counted last.
    entries: AtomicUsize,
}

impl Redis {
    fn key(&self, key: &str) -> String {
        format!("shop:{}:{key}", self.settings.name)
    }

    fn lock_key(&self, key: &str) -> String {
        format!("shop-lock:{}:{key}", self.settings.name)
    }

    fn query(&self, operation: &'static str) -> Option<Query> {
        Some(Query::new("redis", operation).on(self.settings.name))
    }

    async fn ask<T: FromRedisValue + Send>(&self, operation: &'static str, command: &Cmd) -> Option<T> {
        let mut connection = self.server.connection.0.clone();
        self.server.ask(self.query(operation), command.query_async(&mut connection)).await
    }

    /// Some of this cache's keys, and where the next are; 0 is the beginning and the end. Housekeeping: no span.
    async fn scan(&self, cursor: u64) -> Option<(u64, Vec<String>)> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(self.key("*")).arg("COUNT").arg(500);
        let mut connection = self.server.connection.0.clone();
        self.server.ask(None, scan.query_async(&mut connection)).await
    }
}

#[async_trait]
impl Cache for Redis {
    async fn get(&self, key: &str) -> Option<Bytes> {
        let value: Option<Vec<u8>> = self.ask("GET", cmd("GET").arg(self.key(key))).await?;
        value.map(Bytes::from)
    }

    async fn put(&self, key: &str, value: Bytes) {
        let ttl = u64::try_from(self.settings.ttl.as_millis()).unwrap_or(u64::MAX);
        let _: Option<()> = self.ask("SET", cmd("SET").arg(self.key(key)).arg(&value[..]).arg("PX").arg(ttl)).await;
    }

    async fn remove(&self, key: &str) {
        let _: Option<u64> = self.ask("DEL", cmd("DEL").arg(self.key(key))).await;
    }

    async fn clear(&self) {
        let mut cursor = 0;
        while let Some((next, keys)) = self.scan(cursor).await {
            if !keys.is_empty() {
                let _: Option<u64> = self.ask("UNLINK", cmd("UNLINK").arg(keys)).await;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        self.entries.store(0, Ordering::Relaxed);
    }

    async fn lock(&self, key: &str) -> bool {
        let mut set = cmd("SET");
        let lock = u64::try_from(LOAD_LOCK.as_millis()).unwrap_or(u64::MAX);
        set.arg(self.lock_key(key)).arg(&self.server.owner).arg("NX").arg("PX").arg(lock);
        // Without a server nobody else can have it.
        let answer: Option<Option<String>> = self.ask("SET", &set).await;
        answer.is_none_or(|set| set.is_some())
    }

    async fn unlock(&self, key: &str) {
        // Not another's, should ours have ended by itself.
        let script = Script::new(
            "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end",
        );
        let mut invocation = script.key(self.lock_key(key));
        invocation.arg(&self.server.owner);
        let mut connection = self.server.connection.0.clone();
        let unlocked = invocation.invoke_async::<u64>(&mut connection);
        let _ = self.server.ask(self.query("EVALSHA"), unlocked).await;
    }

    async fn tidy(&self) {
        let (mut cursor, mut entries) = (0, 0);
        while let Some((next, keys)) = self.scan(cursor).await {
            entries += keys.len();
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        self.entries.store(entries, Ordering::Relaxed);
    }

    fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    fn evictions(&self) -> u64 {
        0
    }
}
