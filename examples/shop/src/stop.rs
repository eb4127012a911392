//! When a service stops: SIGINT, SIGTERM, or the parent's end of stdin.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::ServiceConfig;

/// Resolves when the process is asked to stop: on SIGINT or SIGTERM, and with [`ServiceConfig::stop_with_stdin`] when
/// stdin ends.
pub fn stop_requested(config: &ServiceConfig) -> impl Future<Output = ()> + Send + 'static {
    let stdin = config.stop_with_stdin;
    async move {
        tokio::select! {
            () = signalled(SignalKind::interrupt()) => {}
            () = signalled(SignalKind::terminate()) => {}
            () = stdin_ended(), if stdin => {}
        }
    }
}

async fn signalled(kind: SignalKind) {
    match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        // Without a handler the signal keeps its default: it ends the process.
        Err(_) => std::future::pending().await,
    }
}

/// A plain thread reads: tokio's stdin would keep the runtime from ending while a read is under way.
async fn stdin_ended() {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}
