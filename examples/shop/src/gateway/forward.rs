//! Handing a request on to an instance of its service, and the answer back: the path as it came, a few headers, the body.

use std::net::{IpAddr, SocketAddr};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use tokio::time::timeout;

use super::{Gateway, answer};
use crate::config::ServiceName;
use crate::limits::{BODY_TIME_MAX, CUSTOMER_TEXT_BYTES_MAX, PATH_BYTES_MAX};
use crate::net::{Answer, CallError, Outgoing};

/// What a customer may tell an instance. The trace and the correlation id are told by the client's span.
const HEADERS: [HeaderName; 5] =
    [header::CONTENT_TYPE, header::ACCEPT, header::IF_NONE_MATCH, IDEMPOTENCY_KEY, CUSTOMER];

/// Requests with the same key are the same request.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Who a customer says to be.
pub(super) const CUSTOMER: HeaderName = HeaderName::from_static("x-shop-customer");

/// For whom the gateway speaks.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A request that is harmless enough to be handed on.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    client: IpAddr,
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let client = client_of(&request);
        let method = request.method().clone();
        let Some(path) = request.uri().path_and_query().filter(|path| path.as_str().len() <= PATH_BYTES_MAX).cloned()
        else {
            return Err(answer::refused(StatusCode::URI_TOO_LONG, "the path is too long"));
        };
        let headers = request.headers().clone();
        for name in [IDEMPOTENCY_KEY, CUSTOMER] {
            if headers.get(&name).is_some_and(|value| text_of(value).is_none()) {
                let why = format!("{name} takes 1 to {CUSTOMER_TEXT_BYTES_MAX} visible characters");
                return Err(answer::refused(StatusCode::BAD_REQUEST, &why));
            }
        }
        let body = timeout(BODY_TIME_MAX, Bytes::from_request(request, state)).await;
        let body =
            body.map_err(|_| answer::refused(StatusCode::REQUEST_TIMEOUT, "the body takes too long to arrive"))?;
        let body = body.map_err(|rejection| {
            answer::refused(rejection.into_response().status(), "the body is too large, or did not arrive whole")
        })?;
        Ok(Self { method, path, headers, body, client })
    }
}

/// The text of a header that a customer chose.
pub(super) fn text_of(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let usable =
        (1..=CUSTOMER_TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then_some(text)
}

/// The address that a request comes from.
pub(super) fn client_of(request: &Request) -> IpAddr {
    let known = request.extensions().get::<ConnectInfo<SocketAddr>>();
    known.map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip().to_canonical())
}

/// Asks an instance of the service, the one of the customer's session if it has one, and has the answer remember it.
pub(super) async fn ask(
    gateway: &Gateway,
    service: ServiceName,
    template: &'static str,
    asked: Asked,
) -> Result<(Answer, Option<HeaderValue>), CallError> {
    let session = gateway.sessions.of(&asked.headers);
    let mut headers = HeaderMap::new();
    for name in HEADERS {
        if let Some(value) = asked.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let client = asked.client.to_string();
    if let Ok(value) = HeaderValue::from_str(&client) {
        headers.insert(FORWARDED_FOR, value);
    }
    let takes_body = !asked.method.is_safe();
    let answer = gateway.to(service).send(Outgoing {
        repeatable: asked.method.is_idempotent() || headers.contains_key(IDEMPOTENCY_KEY),
        method: asked.method,
        template,
        path: asked.path,
        headers,
        body: if takes_body { asked.body } else { Bytes::new() },
        client: Some(client),
        sticky: session.instance_of(service).map(str::to_owned),
    });
    let answer = answer.await?;
    let cookie = gateway.sessions.keep(session, service, &answer.instance);
    Ok((answer, cookie))
}

/// The whole way of a request that nothing is to be known about.
pub(super) async fn hand_on(gateway: &Gateway, service: ServiceName, template: &'static str, asked: Asked) -> Response {
    match ask(gateway, service, template, asked).await {
        Ok((answer, cookie)) => with_cookie(answer::handed_on(answer), cookie),
        Err(error) => answer::unanswered(service, &error, None),
    }
}

pub(super) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
