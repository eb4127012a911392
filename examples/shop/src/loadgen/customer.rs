//! Who comes: some two hundred people with their habits, their cookies and their cards.

use std::sync::{Arc, Mutex, PoisonError};

use crate::payments::{DECLINED, NO_ANSWER};

/// Enough for every shard and backend to have some, few enough for some to come again.
const CUSTOMERS: usize = 200;

/// Everybody.
#[derive(Debug)]
pub(super) struct Customers(Vec<Arc<Customer>>);

/// Somebody.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) name: String,
    /// The shop's cookie, as it was set last.
    cookie: Mutex<Option<String>>,
}

impl Default for Customers {
    fn default() -> Self {
        let name = |number| match number % 50 {
            // Their letters come back.
            49 => format!("customer-{number:03}-bounce"),
            _ => format!("customer-{number:03}"),
        };
        Self((0..CUSTOMERS).map(|number| Arc::new(Customer { name: name(number), cookie: Mutex::default() })).collect())
    }
}

impl Customers {
    /// Anybody.
    pub(super) fn someone(&self) -> Arc<Customer> {
        Arc::clone(&self.0[fastrand::usize(..self.0.len())])
    }
}

impl Customer {
    pub(super) fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the cookie of a `set-cookie` header, without its attributes.
    pub(super) fn keep_cookie(&self, header: &str) {
        let cookie = header.split(';').next().unwrap_or_default().trim().to_owned();
        *self.cookie.lock().unwrap_or_else(PoisonError::into_inner) = Some(cookie);
    }
}

/// A card: now and then one that the bank declines, rarely one of a bank that does not answer. `chance` is uniform in [0, 1).
pub(super) fn card(chance: f64) -> String {
    let last_digits = match chance {
        c if c < 0.04 => DECLINED,
        c if c < 0.05 => NO_ANSWER,
        _ => "4242",
    };
    format!("42424242{last_digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_cards_fail_and_some_letters_come_back() {
        for (chance, digits) in [(0.0, DECLINED), (0.039, DECLINED), (0.04, NO_ANSWER), (0.05, "4242"), (0.99, "4242")]
        {
            assert!(card(chance).ends_with(digits), "{chance}");
        }
        let customers = Customers::default();
        assert_eq!(customers.0.iter().filter(|customer| customer.name.ends_with("-bounce")).count(), 4);
    }

    #[test]
    fn a_cookie_is_kept_without_its_attributes() {
        let customer = Customers::default().someone();
        customer.keep_cookie("shop_session=orders-1; Path=/; HttpOnly");
        assert_eq!(customer.cookie().as_deref(), Some("shop_session=orders-1"));
    }
}
