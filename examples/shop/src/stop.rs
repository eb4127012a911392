//! When a service stops: SIGINT, SIGTERM, or the parent's end of stdin.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Resolves when the process is asked to stop: on SIGINT or SIGTERM, and if told so when stdin ends.
pub async fn stop_requested(stdin: bool) {
    tokio::select! {
        () = signalled(SignalKind::interrupt()) => {}
        () = signalled(SignalKind::terminate()) => {}
        () = stdin_ended(), if stdin => {}
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
