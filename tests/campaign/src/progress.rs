//! What a campaign is doing, for who waits: a bar on a terminal, a line for each step elsewhere. No step lasts for ever.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

/// The steps of a campaign. Says nothing until told how many there are.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    silent: bool,
}

impl Progress {
    /// Tells people on stderr.
    pub fn shown() -> Self {
        Self { bar: ProgressBar::new(0), began: Instant::now(), silent: false }
    }

    /// Tells nobody: for tests.
    pub fn silent() -> Self {
        Self { bar: ProgressBar::hidden(), began: Instant::now(), silent: true }
    }

    /// There are so many steps.
    pub fn steps(&self, count: usize) {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {elapsed}  {msg}");
        // The template is a constant; a bar of the default style would do as well.
        if let Ok(style) = style {
            self.bar.set_style(style);
        }
        self.bar.set_length(count as u64);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    /// Does a step, which fails if it takes longer than `patience`.
    pub async fn step<T>(
        &self,
        name: &str,
        patience: Duration,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        self.say(name);
        let done = tokio::time::timeout(patience, work).await;
        self.bar.inc(1);
        done.unwrap_or_else(|_| Err(anyhow::anyhow!("it did not end within {} s", patience.as_secs())))
            .with_context(|| name.to_owned())
    }

    fn say(&self, name: &str) {
        self.bar.set_message(name.to_owned());
        // A bar hides where stderr is no terminal.
        if self.bar.is_hidden() && !self.silent {
            let (at, of) = (self.bar.position() + 1, self.bar.length().unwrap_or(0));
            eprintln!("{:>6.1} s  {at}/{of}  {name}", self.began.elapsed().as_secs_f64());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
