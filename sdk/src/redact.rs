//! What must not leave the process: values of attributes whose keys say that they are secrets. Decided by words of the key, before anything is queued.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::REDACTION_CACHE_MAX;

/// What stands in the place of a hidden value.
pub(crate) const HIDDEN: &str = "[redacted]";

/// The words that make a key sensitive, each a run of words of the key: `card_number` is found in `payment.cardNumber` and not in `card.last_digits`.
const USUAL: [&str; 33] = [
    "access_key",
    "api_key",
    "apikey",
    "authorization",
    "bank_account",
    "bearer",
    "card_no",
    "card_number",
    "cardnumber",
    "cc_number",
    "connection_string",
    "cookie",
    "credential",
    "credentials",
    "credit_card",
    "csrf",
    "cvc",
    "cvv",
    "iban",
    "jwt",
    "pan",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "private_key",
    "pwd",
    "secret",
    "secrets",
    "set_cookie",
    "ssn",
    "token",
    "xsrf",
];

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    Hide,
    /// A URL or a query string, whose parameters are looked at one by one.
    Query,
}

/// The keys whose values are hidden.
#[derive(Clone, Debug)]
pub(crate) struct Redaction {
    /// Each as `_word_word_`, so that only whole words are found.
    sensitive: Vec<String>,
    /// Tells the threads' memories of one set of keys from those of another.
    id: u64,
}

/// What a thread was told before, and by which [`Redaction`].
type Known = (u64, HashMap<Box<str>, Verdict, foldhash::fast::RandomState>);

thread_local! {
    /// What this thread was told before. A service uses the same few hundred keys all day.
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Default for Redaction {
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

impl Redaction {
    /// The usual keys with `more` and without `fewer`.
    pub(crate) fn new(more: &[String], fewer: &[String]) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let fewer: Vec<String> = fewer.iter().map(|key| words(key)).collect();
        let mut sensitive: Vec<String> =
            USUAL.iter().map(|key| words(key)).filter(|key| !fewer.contains(key)).collect();
        sensitive.extend(more.iter().map(|key| words(key)).filter(|key| key.len() > 2));
        Self { sensitive, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// What becomes of the value under this key.
    pub(crate) fn verdict(&self, key: &str) -> Verdict {
        KNOWN.with(|known| {
            // Only borrowed twice if a destructor of this thread records telemetry in the middle of this, which none does.
            let Ok(mut known) = known.try_borrow_mut() else { return self.decide(key) };
            if known.0 != self.id {
                *known = (self.id, HashMap::default());
            }
            if let Some(verdict) = known.1.get(key) {
                return *verdict;
            }
            let verdict = self.decide(key);
            if known.1.len() < REDACTION_CACHE_MAX {
                known.1.insert(key.into(), verdict);
            }
            verdict
        })
    }

    fn decide(&self, key: &str) -> Verdict {
        if matches!(key, "url.full" | "url.query" | "http.url" | "http.target") {
            return Verdict::Query;
        }
        let key = words(key);
        if self.sensitive.iter().any(|sensitive| key.contains(sensitive.as_str())) {
            Verdict::Hide
        } else {
            Verdict::Keep
        }
    }

    /// A URL or query string without the values of sensitive parameters, and without the password before the host.
    pub(crate) fn query<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let text = without_user(text);
        let (before, query) = match text.split_once('?') {
            Some((before, query)) => (Some(before), query),
            None if text.contains("://") => return text,
            None => (None, &*text),
        };
        let hides = |pair: &str| pair.split_once('=').is_some_and(|(key, _)| self.verdict(key) == Verdict::Hide);
        if !query.split('&').any(hides) {
            return text;
        }
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, _)) if hides(pair) => format!("{key}={HIDDEN}"),
            _ => pair.to_owned(),
        });
        let query = pairs.collect::<Vec<_>>().join("&");
        Cow::Owned(match before {
            Some(before) => format!("{before}?{query}"),
            None => query,
        })
    }
}

fn without_user(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Cow::Borrowed(url) };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => Cow::Owned(format!("{scheme}://{}", &rest[at + 1..])),
        None => Cow::Borrowed(url),
    }
}

/// `payment.cardNumber` as `_payment_card_number_`.
fn words(key: &str) -> String {
    let mut words = String::with_capacity(key.len() + 4);
    words.push('_');
    let mut lower = false;
    for character in key.chars() {
        if !character.is_alphanumeric() {
            if !words.ends_with('_') {
                words.push('_');
            }
            lower = false;
            continue;
        }
        if character.is_uppercase() && lower {
            words.push('_');
        }
        lower = !character.is_uppercase();
        words.extend(character.to_lowercase());
    }
    if !words.ends_with('_') {
        words.push('_');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sensitive_by_whole_words() {
        let redaction = Redaction::new(&["tax id".to_owned()], &["pin".to_owned()]);
        for key in [
            "password",
            "db.password",
            "user_password_hash",
            "userPassword",
            "USER_PASSWORD",
            "http.request.header.authorization",
            "http.request.header.set-cookie",
            "x-api-key",
            "apiKey",
            "stripe.secret",
            "refresh_token",
            "payment.cardNumber",
            "card.number",
            "CVV",
            "customer.taxId",
        ] {
            assert_eq!(redaction.verdict(key), Verdict::Hide, "{key}");
            assert_eq!(redaction.verdict(key), Verdict::Hide, "{key}, remembered");
        }
        for key in [
            "",
            "tokens.used",
            "shop.card.last_digits",
            "pancake",
            "pin",
            "passwords_changed",
            "secretary",
            "correlation.id",
            "http.route",
            "company",
        ] {
            assert_eq!(redaction.verdict(key), Verdict::Keep, "{key}");
        }
        assert_eq!(
            Redaction::default().verdict("pin"),
            Verdict::Hide,
            "another set of keys is not mixed up with the first"
        );
    }

    #[test]
    fn urls_lose_sensitive_parameters_and_passwords() {
        let redaction = Redaction::default();
        assert_eq!(redaction.verdict("url.full"), Verdict::Query);
        for (url, left) in [
            ("https://a.example/x?id=1&token=abc&b", "https://a.example/x?id=1&token=[redacted]&b"),
            ("https://user:hunter2@a.example/x", "https://a.example/x"),
            ("https://a.example/user@home", "https://a.example/user@home"),
            ("id=1&api_key=9", "id=1&api_key=[redacted]"),
            ("https://a.example/token=1", "https://a.example/token=1"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(redaction.query(url), left, "{url}");
        }
    }

    #[test]
    fn a_flood_of_keys_is_not_remembered() {
        let redaction = Redaction::default();
        for number in 0..REDACTION_CACHE_MAX * 2 {
            assert_eq!(redaction.verdict(&format!("key{number}")), Verdict::Keep);
        }
        KNOWN.with(|known| assert!(known.borrow().1.len() <= REDACTION_CACHE_MAX));
        assert_eq!(redaction.verdict("password"), Verdict::Hide);
    }
}
