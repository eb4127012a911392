//! An axum service that is observed by adding a dependency and one line: the one that says `sextant_sdk`.
use axum::Router;
use axum::extract::Path;
use axum::routing::get;

async fn order(Path(id): Path<u32>) -> String {
    tracing::info!(order = id, "order looked up");
    id.to_string()
}

/// Serves until Ctrl-C, where the last argument says.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new().route("/orders/{id}", get(order));
    let app = sextant_sdk::http::observed("orders", app)?;
    let listener = tokio::net::TcpListener::bind(std::env::args().next_back().unwrap_or_default()).await?;
    println!("{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}
