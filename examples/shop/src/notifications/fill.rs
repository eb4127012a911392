//! What happens on the letters volume beside letters: the oldest are removed when it gets full, or, while that is to go wrong, something fills it and nobody cleans.

use std::sync::Arc;

use super::volume::{Volume, VolumeError};
use crate::context::Context;
use crate::faults::FaultKind;
use crate::limits::LETTERS_LOOK;

/// Does so until the service stops.
pub(super) fn begin(context: &Context, volume: &Arc<Volume>) {
    let (faults, volume) = (Arc::clone(&context.faults), Arc::clone(volume));
    let stopping = context.tasks.clone();
    context.tasks.spawn(async move {
        let mut filled = false;
        while !stopping.is_stopping() {
            let amount = faults.amount(FaultKind::DiskFill);
            let volume = Arc::clone(&volume);
            // Files are not for the runtime's threads.
            let step = tokio::task::spawn_blocking(move || step(&volume, amount, filled));
            match step.await {
                Ok(Ok(())) => filled = amount.is_some(),
                // It is tried again. A panic was its own, and is in the log.
                Ok(Err(error)) => tracing::warn!(name: "letters.unclean", { error = error.to_string() }, "{error}"),
                Err(_) => {}
            }
            stopping.pause(LETTERS_LOOK).await;
        }
        // Nobody else would give the space back.
        if filled && let Err(error) = volume.unfill() {
            tracing::warn!(name: "letters.unclean", { error = error.to_string() }, "{error}");
        }
    });
}

fn step(volume: &Volume, mebibytes_per_second: Option<f64>, filled: bool) -> Result<(), VolumeError> {
    match mebibytes_per_second {
        // A fault's amount is at most 64, of which a few bytes more or less do not matter.
        Some(amount) => volume.fill((amount * LETTERS_LOOK.as_secs_f64() * 1_048_576.0) as u64),
        None => {
            if filled {
                volume.unfill()?;
            }
            let removed = volume.clean();
            if removed > 0 {
                let usage = volume.usage();
                tracing::info!(
                    name: "letters.cleaned",
                    { shop.letters.removed = removed, shop.letters.usage = usage },
                    "the oldest {removed} letters made room for new ones"
                );
            }
            Ok(())
        }
    }
}
