//! The demo's services as child processes: started callees first, stopped callers first, never left behind. Each child ends
//! when its stdin does, so it cannot outlive this process however that dies.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use shop::{Fault, ServiceConfig, ServiceName};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::oneshot;

/// Gentle: a few orders a second are enough to see something.
const ORDERS_PER_SECOND: f64 = 4.0;

/// A service that does not drain within this time is ended.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The processes, callers first.
pub struct Children {
    fault: Option<Fault>,
    // What each has to show to the server.
    token: Option<String>,
    running: Vec<(ServiceName, Child)>,
    first_order: Option<oneshot::Receiver<String>>,
}

impl Children {
    /// None is running yet; the one that `fault` is for will break. Each shows the server `token`.
    pub fn new(fault: Option<Fault>, token: Option<String>) -> Self {
        Self { fault, token, running: Vec::new(), first_order: None }
    }

    /// Starts payments, orders and gateway, each with the address of the one it calls.
    pub async fn start(&mut self, otlp_endpoint: &str) -> anyhow::Result<()> {
        let mut upstream = None;
        for name in ServiceName::ALL.into_iter().rev() {
            let mut config = ServiceConfig::new(name);
            config.otlp_endpoint = otlp_endpoint.to_owned();
            config.upstream = upstream.take();
            config.stop_with_stdin = true;
            // Each knows of it: the one it is for breaks, the gateway has other orders to show.
            config.fault = self.fault;
            if name == ServiceName::Gateway {
                config.orders_per_second = ORDERS_PER_SECOND;
            }
            let address = self.spawn(&config).await.with_context(|| format!("cannot start the service {name}"))?;
            upstream = Some(format!("http://{address}"));
        }
        Ok(())
    }

    /// The correlation id of the first order that went through all services.
    pub async fn first_order(&mut self) -> anyhow::Result<String> {
        let first = self.first_order.take().context("the gateway is not running")?;
        first.await.context("the gateway ended before the first order")
    }

    /// Resolves when a child has ended that nobody told to.
    pub async fn unexpected_end(&mut self) -> anyhow::Error {
        loop {
            for (name, child) in &mut self.running {
                match child.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) => return anyhow!("the service {name} ended unexpectedly: {status}"),
                    Err(error) => return anyhow!(error).context(format!("cannot watch the service {name}")),
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Lets the services finish, callers first, so that no one loses its callee before it is done.
    pub async fn stop(&mut self) {
        for (name, mut child) in self.running.drain(..) {
            drop(child.stdin.take());
            if tokio::time::timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
                tracing::warn!(service = %name, "the service did not stop in time and is ended");
                // It is ended either way when `child` is dropped.
                let _ = child.kill().await;
            }
        }
    }

    async fn spawn(&mut self, config: &ServiceConfig) -> anyhow::Result<SocketAddr> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        if let Some(token) = &self.token {
            // Unlike arguments, an environment is nobody else's to read.
            command.env("OTEL_EXPORTER_OTLP_HEADERS", authorization(token));
        }
        let mut child = command
            .arg("shop-service")
            .args(config.to_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal reaches every process of the foreground group; the services are stopped in order instead.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a process")?;
        let stdout = child.stdout.take().context("the process has no stdout")?;
        self.running.insert(0, (config.name, child));
        let mut lines = BufReader::new(stdout).lines();
        let address = listening(&mut lines).await?;
        let (tell, first_order) = oneshot::channel();
        if config.name == ServiceName::Gateway {
            self.first_order = Some(first_order);
        }
        tokio::spawn(listen(lines, tell));
        Ok(address)
    }
}

// The variable's values are percent-encoded.
fn authorization(token: &str) -> String {
    let encoded = token.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    format!("authorization=Bearer%20{}", encoded.collect::<String>())
}

async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<SocketAddr> {
    while let Some(line) = lines.next_line().await? {
        if let Some(address) = line.strip_prefix("listening on ") {
            return address.parse().with_context(|| format!("{address:?} is no address"));
        }
    }
    Err(anyhow!("the process ended before it listened"))
}

// Reads on for as long as the child speaks, so that it never meets a closed or full pipe.
async fn listen(mut lines: Lines<BufReader<ChildStdout>>, first_order: oneshot::Sender<String>) {
    let mut first_order = Some(first_order);
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(id) = line.strip_prefix("correlation_id=")
            && let Some(tell) = first_order.take()
        {
            // Nobody may be waiting any more: the demo is being stopped.
            let _ = tell.send(id.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_any_characters_fits_the_variable() {
        assert_eq!(authorization("aZ09-_,=%"), "authorization=Bearer%20aZ09%2D%5F%2C%3D%25");
    }
}
