//! Where products lie. Fetching one takes a moment, and from the far warehouse a long one.

use std::time::Duration;

/// A warehouse that needs longer is worth a warning.
const SLOW: Duration = Duration::from_millis(200);

/// Waits for the warehouse to say that it has put the product aside.
pub(super) async fn answer(warehouse: &str) {
    let wait = Duration::from_millis(match warehouse {
        "far" => fastrand::u64(250..600),
        _ => fastrand::u64(4..20),
    });
    tokio::time::sleep(wait).await;
    if wait > SLOW {
        tracing::warn!(
            name: "stock.slow",
            { shop.warehouse = warehouse, shop.wait_s = wait.as_secs_f64() },
            "the warehouse was slow"
        );
    }
}
