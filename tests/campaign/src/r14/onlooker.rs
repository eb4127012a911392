//! A person who looks at the server while it is overloaded: its status, the newest log records, a histogram.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tui::Client;
use tui::client::Params;

use crate::figures::{Figures, Times, ms};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Looks until it is asked what it saw.
#[derive(Debug)]
pub(super) struct Onlooker {
    stop: Arc<AtomicBool>,
    looking: JoinHandle<Seen>,
}

/// What came of the looks.
#[derive(Debug, Default)]
pub(super) struct Seen {
    times: Times,
    refused: u64,
    wrong: Vec<String>,
}

impl Onlooker {
    /// Begins.
    pub(super) fn start(client: Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let looking = tokio::spawn(async move {
            let mut seen = Seen::default();
            while !until.load(Ordering::Relaxed) {
                for path in ["/api/v1/status", "/api/v1/logs", "/api/v1/logs/histogram"] {
                    seen.look(&client, path).await;
                }
                tokio::time::sleep(PAUSE).await;
            }
            seen
        });
        Self { stop, looking }
    }

    /// Ends.
    pub(super) async fn seen(self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.looking.await?)
    }
}

impl Seen {
    async fn look(&mut self, client: &Client, path: &str) {
        let params = if path.ends_with("status") { Params::new() } else { Params::new().with("start", "-1m") };
        let asked = Instant::now();
        match client.fetch(path, &params).await {
            Ok(answer) if answer.status == 200 => self.times.push(asked.elapsed()),
            Ok(answer) if answer.status == 503 => self.refused += 1,
            Ok(answer) => self.wrong.push(format!("{path} was answered {}", answer.status)),
            Err(error) => self.wrong.push(format!("{path} was not answered: {error:#}")),
        }
    }

    /// Notes what was seen. Nineteen of twenty looks are to be answered, where that is asked.
    pub(super) fn tell(&self, figures: &mut Figures, judges: bool) {
        let (answered, refused) = (self.times.len() as u64, self.refused);
        let [half, most] = [0.5, 0.99].map(|share| ms(self.times.quantile(share)));
        figures.note("looks", format!("{answered} answered, half within {half}, p99 {most}; {refused} refused"));
        figures.expect(!judges || refused * 19 <= answered, || {
            format!("{refused} looks were refused, {answered} answered")
        });
        figures.wrong.extend(self.wrong.iter().take(3).cloned());
    }
}
