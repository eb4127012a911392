//! Tests of rules, alerts and notifications.

mod notify;
