//! Watching, as a person does it: the dashboard in a terminal of tmux, against a demo that is broken on purpose. From the
//! firing alert to the failing span and its log line in a few keys.

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::demo::{Demo, PATIENCE};
use crate::harness::{BINARY, Place, until};

/// More keys than this, and nobody finds the way at night.
const KEYS_MAX: usize = 6;

/// A terminal of a server of its own, which ends with it.
struct Terminal {
    socket: TempDir,
}

impl Terminal {
    /// `None` if there is no tmux, which only a machine without CI may lack.
    async fn open(width: u16, height: u16, command: &str) -> Option<Self> {
        let terminal = Self { socket: tempfile::tempdir().expect("a directory") };
        let (width, height) = (width.to_string(), height.to_string());
        // A shell around it keeps the last frame to be seen if the dashboard ends.
        let held = format!("{command}; sleep 60");
        let arguments = ["new-session", "-d", "-x", &width, "-y", &height, &held];
        match terminal.tmux(&arguments).await {
            Ok(_) => Some(terminal),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                assert!(std::env::var_os("CI").is_none(), "CI has no tmux");
                println!("skipped: no tmux");
                None
            }
            Err(error) => panic!("tmux does not run: {error}"),
        }
    }

    async fn tmux(&self, arguments: &[&str]) -> std::io::Result<String> {
        let socket = self.socket.path().join("socket");
        let mut command = Command::new("tmux");
        command.arg("-S").arg(socket).arg("-f").arg("/dev/null").args(arguments).stdin(Stdio::null());
        let output = command.env_remove("TMUX").output().await?;
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).await.expect("a screen")
    }

    async fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]).await.expect("a key");
    }

    /// Waits until all of this is on the screen at once.
    async fn shows(&self, texts: &[&str]) {
        let mut last = String::new();
        let all = until("what the screen has to show", PATIENCE, async || {
            last = self.screen().await;
            texts.iter().all(|text| last.contains(text)).then_some(())
        });
        if tokio::time::timeout(PATIENCE - Duration::from_secs(1), all).await.is_err() {
            panic!("{texts:?} are not on the screen:\n{}", self.screen().await);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let socket = self.socket.path().join("socket");
        // The session ends with its server; a server that has ended already is no matter.
        let _ = std::process::Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output();
    }
}

#[tokio::test]
async fn from_the_firing_alert_to_the_failing_span_in_a_few_keys() {
    let place = Place::new();
    let mut demo = Demo::start(&place, &["--fault", "payments-error:100%"]);
    let url = format!("http://{}", demo.said("http ").await);
    demo.said("webhook: FIRING ErrorLogBurst").await;

    let command = format!("{BINARY} tui --url {url}");
    let Some(terminal) = Terminal::open(140, 50, &command).await else { return };
    terminal.shows(&["Overview", "ErrorLogBurst orders", "ErrorLogBurst payments"]).await;
    let (to_the_alerts, to_the_trace, to_the_span) = ("Tab", "Enter", "Enter");
    assert!([to_the_alerts, to_the_trace, to_the_span].len() <= KEYS_MAX);
    terminal.press(to_the_alerts).await;
    // Who calls payments fails with it, and other rules notice too: how many alerts stand above differs.
    let is_chosen =
        |screen: &str| screen.lines().any(|line| line.starts_with('▌') && line.contains("ErrorLogBurst payments"));
    let mut above = 0;
    while !is_chosen(&terminal.screen().await) {
        assert!(above < 10, "the alert is not there:\n{}", terminal.screen().await);
        terminal.press("j").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        above += 1;
    }
    terminal.press(to_the_trace).await;
    terminal.shows(&["Trace", "charge card", "POST /payments"]).await;
    terminal.press(to_the_span).await;
    // The span with what went wrong, and its log record below it, at once.
    terminal.shows(&["charge card", "payment failed: the bank"]).await;
    terminal.press("q").await;
    demo.interrupt().await;
    tokio::time::timeout(PATIENCE, demo.child.wait()).await.expect("it stops").expect("it ran");
}
