//! The customers: they look around and buy, at an irregular rate, until told to stop. They come in by the front door.

use crate::context::Context;

/// Sends customers until `shutdown` resolves.
pub(crate) async fn shop_until(_context: &Context, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    shutdown.await;
    Ok(())
}
