//! A mail server that exists here only: it takes its time, is busy now and then, and has no mailbox for some.

use std::time::Duration;

/// Customers whose name ends like this have an address that does not work.
const BROKEN: &str = "-bounce";

/// The server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mail {
    /// Of a hundred letters.
    busy_percent: f64,
}

impl Default for Mail {
    fn default() -> Self {
        // Enough for retries to be seen, few enough that hardly a letter dies of five in a row.
        Self { busy_percent: 2.0 }
    }
}

/// What the server answered.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub(super) enum MailError {
    #[error("the mail server is busy: 421 try again later")]
    Busy,
    #[error("the mail server knows no such address: 550 mailbox unavailable")]
    NoMailbox,
}

impl Mail {
    #[cfg(test)]
    pub(super) fn never_busy() -> Self {
        Self { busy_percent: 0.0 }
    }

    pub(super) async fn deliver(&self, customer: &str) -> Result<(), MailError> {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(3..15))).await;
        let answer = if fastrand::f64() * 100.0 < self.busy_percent {
            Err(MailError::Busy)
        } else if customer.ends_with(BROKEN) {
            Err(MailError::NoMailbox)
        } else {
            Ok(())
        };
        if let Err(error) = answer {
            tracing::warn!(name: "mail.refused", { error = error.to_string() }, "{error}");
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn some_are_told_to_come_again_and_broken_addresses_always_bounce() {
        let mail = Mail { busy_percent: 30.0 };
        let mut busy = 0;
        for _ in 0..1_000 {
            match mail.deliver("ada").await {
                Ok(()) => {}
                Err(MailError::Busy) => busy += 1,
                Err(MailError::NoMailbox) => panic!("it has one"),
            }
            assert!(mail.deliver("ada-bounce").await.is_err());
        }
        assert!((200..400).contains(&busy), "{busy}");
        assert_eq!(Mail::never_busy().deliver("ada-bounce").await, Err(MailError::NoMailbox));
    }
}
