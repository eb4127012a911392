//! One visit: what is there, a closer look at some of it, an order, and sometimes a word about it.

use anyhow::{Context as _, bail};
use axum::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use sextant_sdk::correlation;

use super::customer::{Customer, card};
use crate::limits::{BODY_BYTES_MAX, CUSTOMER_PATIENCE};
use crate::order::Order;

/// Of the customers who press the button twice, and of those who say what they think.
const IMPATIENT: f64 = 0.02;
const TALKATIVE: f64 = 0.1;

/// The shop's front door.
#[derive(Clone)]
pub(super) struct Door {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

/// A product, as far as a customer cares.
#[derive(serde::Deserialize)]
struct Product {
    id: String,
}

impl Door {
    pub(super) fn at(base: &str) -> anyhow::Result<Self> {
        let uri: Uri = base.parse().with_context(|| format!("`{base}` is no URL"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            bail!("`{base}` is not the URL of the gateway: write http://HOST:PORT");
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, base: base.trim_end_matches('/').to_owned() })
    }

    /// A whole visit; the order has this id. What the shop refuses is its own to tell; that it does not answer is an error.
    pub(super) async fn visit(&self, customer: &Customer, id: &str) -> anyhow::Result<()> {
        let shelf = self.ask(customer, Method::GET, "/products", None, &[]).await?;
        let shelf: Vec<Product> = serde_json::from_slice(&shelf.1).unwrap_or_default();
        let Some(wanted) = shelf.get(fastrand::usize(..shelf.len().max(1))) else {
            bail!("there is nothing to buy");
        };
        let path = format!("/products/{}", wanted.id);
        self.ask(customer, Method::GET, &path, None, &[]).await?;
        self.ask(customer, Method::POST, &format!("{path}/views"), None, &[]).await?;
        let order = Order {
            customer: customer.name.clone(),
            item: wanted.id.clone(),
            quantity: fastrand::u32(1..=3),
            card: card(fastrand::f64()),
        };
        let order = serde_json::to_vec(&order).context("cannot write the order")?;
        let headers = [(correlation::HEADER, id), ("idempotency-key", id)];
        let (status, _) = self.ask(customer, Method::POST, "/orders", Some(order.clone()), &headers).await?;
        if status.is_success() && fastrand::f64() < IMPATIENT {
            self.ask(customer, Method::POST, "/orders", Some(order), &headers).await?;
        }
        if status.is_success() && fastrand::f64() < TALKATIVE {
            let review = json!({"customer": customer.name, "stars": fastrand::u8(3..=5), "text": "as described"});
            let review = review.to_string().into_bytes();
            self.ask(customer, Method::POST, &format!("{path}/reviews"), Some(review), &[]).await?;
            self.ask(customer, Method::GET, &format!("{path}/reviews"), None, &[]).await?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        customer: &Customer,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        request = request.header(CONTENT_TYPE, "application/json").header("x-shop-customer", &customer.name);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = customer.cookie() {
            request = request.header(COOKIE, cookie);
        }
        let request = request.body(Full::from(body.unwrap_or_default())).context("cannot build the request")?;
        let exchange = async {
            let answer = self.client.request(request).await.with_context(|| format!("no answer to {path}"))?;
            keep_cookie(customer, answer.headers());
            let status = answer.status();
            let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await;
            let body = body.map_err(anyhow::Error::from_boxed).with_context(|| format!("half an answer to {path}"))?;
            Ok((status, body.to_bytes()))
        };
        let answer = tokio::time::timeout(CUSTOMER_PATIENCE, exchange).await;
        answer.unwrap_or_else(|_| bail!("no answer to {path} within {CUSTOMER_PATIENCE:?}"))
    }
}

fn keep_cookie(customer: &Customer, headers: &HeaderMap) {
    if let Some(cookie) = headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()) {
        customer.keep_cookie(cookie);
    }
}
