//! Sticky sessions: a customer comes back to the instance that it was at, for as long as that takes requests. The cookie names the instances, so that the gateway keeps nothing and may be
//! started anew; who forges one reaches an instance that it could have been given anyway.

use axum::http::{HeaderMap, HeaderValue, header};
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::{Counter, Meter};

use crate::config::ServiceName;
use crate::limits::{INSTANCE_NAME_BYTES_MAX, SESSION_BYTES_MAX, SESSION_MAX};

/// The cookie's name.
const COOKIE: &str = "shop_session";

/// The services whose instances customers stay with.
const SERVICES: [ServiceName; 2] = [ServiceName::Catalog, ServiceName::Orders];

/// The sessions of all customers.
pub(super) struct Sessions {
    counter: Counter<u64>,
    /// Whether the cookie is for TLS only.
    secure: bool,
}

/// One customer's: where it was, `catalog:catalog-1.orders:orders-2` in its cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session([Option<String>; SERVICES.len()]);

impl Session {
    /// What a cookie says; what makes no sense is nothing.
    fn read(cookie: &str) -> Self {
        let mut session = Self::default();
        if cookie.len() > SESSION_BYTES_MAX {
            return session;
        }
        for (service, instance) in cookie.split('.').filter_map(|entry| entry.split_once(':')) {
            let place = SERVICES.iter().position(|known| known.as_str() == service);
            let usable = (1..=INSTANCE_NAME_BYTES_MAX).contains(&instance.len())
                && instance.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if let Some(place) = place.filter(|_| usable) {
                session.0[place] = Some(instance.to_owned());
            }
        }
        session
    }

    fn write(&self) -> String {
        let entry =
            |(service, instance): (&ServiceName, &Option<String>)| Some(format!("{service}:{}", instance.as_ref()?));
        SERVICES.iter().zip(&self.0).filter_map(entry).collect::<Vec<_>>().join(".")
    }

    /// Where it was.
    pub(super) fn instance_of(&self, service: ServiceName) -> Option<&str> {
        self.0[SERVICES.iter().position(|known| *known == service)?].as_deref()
    }

    /// It is here now: what became of the session, in a word, and whether its cookie has to be another one.
    fn stay(&mut self, service: ServiceName, instance: &str) -> Option<(&'static str, bool)> {
        let place = &mut self.0[SERVICES.iter().position(|known| *known == service)?];
        let became = match place.as_deref() {
            None => "new",
            Some(was) if was == instance => return Some(("kept", false)),
            Some(_) => "moved",
        };
        *place = Some(instance.to_owned());
        Some((became, true))
    }
}

impl Sessions {
    pub(super) fn new(meter: &Meter, secure: bool) -> Self {
        let counter = meter.u64_counter("shop.sessions").with_unit("{request}");
        let counter = counter.with_description("Requests by what became of their session with an instance").build();
        Self { counter, secure }
    }

    /// The session of who sends these headers.
    pub(super) fn of(&self, headers: &HeaderMap) -> Session {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| Session::read(value)).unwrap_or_default()
    }

    /// An instance answered: the cookie that says so, unless the customer has it already.
    pub(super) fn keep(&self, mut session: Session, service: ServiceName, instance: &str) -> Option<HeaderValue> {
        let (became, anew) = session.stay(service, instance)?;
        self.counter.add(1, &[KeyValue::new("shop.session", became)]);
        if !anew {
            return None;
        }
        let secure = if self.secure { "; Secure" } else { "" };
        let age = SESSION_MAX.as_secs();
        let cookie = format!("{COOKIE}={}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}", session.write());
        HeaderValue::from_str(&cookie).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_as_it_was_written() {
        let mut session = Session::default();
        assert_eq!(session.stay(ServiceName::Orders, "orders-2"), Some(("new", true)));
        assert_eq!(session.stay(ServiceName::Catalog, "catalog-1"), Some(("new", true)));
        assert_eq!(session.write(), "catalog:catalog-1.orders:orders-2");
        assert_eq!(Session::read(&session.write()), session);
        assert_eq!(session.stay(ServiceName::Orders, "orders-2"), Some(("kept", false)));
        assert_eq!(session.stay(ServiceName::Orders, "orders-3"), Some(("moved", true)));
        assert_eq!(session.instance_of(ServiceName::Orders), Some("orders-3"));
        assert_eq!(session.stay(ServiceName::Payments, "payments-1"), None, "nobody stays there");
    }

    #[test]
    fn a_cookie_that_makes_no_sense_is_none() {
        let long = format!("orders:{}", "x".repeat(SESSION_BYTES_MAX));
        for cookie in
            ["", ".", ":", "orders", "orders:", "bank:bank-1", "orders:a b", "orders:\u{7f}", "orders:a=b", &long]
        {
            assert_eq!(Session::read(cookie), Session::default(), "{cookie}");
        }
        let many = "orders:x.".repeat(20) + "orders:y";
        assert_eq!(Session::read(&many).instance_of(ServiceName::Orders), Some("y"));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let sessions = Sessions::new(&sextant_sdk::metrics::meter("test"), true);
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; xshop_session=orders:no"));
        headers.append(header::COOKIE, HeaderValue::from_static("theme=dark;shop_session=orders:orders-1; c=d"));
        let session = sessions.of(&headers);
        assert_eq!(session.instance_of(ServiceName::Orders), Some("orders-1"));
        assert_eq!(sessions.keep(session.clone(), ServiceName::Orders, "orders-1"), None);
        let cookie = sessions.keep(session, ServiceName::Orders, "orders-2").expect("it moved");
        assert_eq!(cookie, "shop_session=orders:orders-2; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax; Secure");
    }
}
