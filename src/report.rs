//! How a command ends: its exit code, and the one place that prints an error with its causes and its hint.

use std::io::Write as _;
use std::process::ExitCode;

use tui::ClientError;
use tui::client::Kind;
use tui::sanitize;

use crate::config::ConfigError;

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Done, and the answer is no, or there is nothing.
    No = 1,
    /// The command, the configuration or the machine has to be changed first.
    WrongUse = 2,
    /// The server could not be reached, or refused.
    Unavailable = 3,
}

/// Why a command could not do what it should.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
    // Lines between the error and the hint: where in the query the mistake is.
    detail: Option<String>,
    hint: Option<String>,
}

/// What a command comes to.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure that the asker has to mend.
    pub fn wrong_use(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::WrongUse, error: error.into(), detail: None, hint: None }
    }

    /// A failure of the server's.
    pub fn unavailable(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Unavailable, error: error.into(), detail: None, hint: None }
    }

    /// Adds what to try.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }

    /// Points at the place of `query` that the server complained about, if it named one.
    #[must_use]
    pub fn at_query(mut self, query: &str) -> Self {
        let refusal = self.error.downcast_ref::<ClientError>().and_then(ClientError::refusal);
        if let Some(position) = refusal.and_then(|refusal| refusal.position) {
            let before: String = query.chars().take(position).collect();
            let column = unicode_width::UnicodeWidthStr::width(sanitize::line(&before).as_ref());
            self.detail = Some(format!("  {}\n  {:column$}^", sanitize::line(query), ""));
        }
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::wrong_use(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::wrong_use(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint.clone();
        Self::wrong_use(error).with_hint(hint)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error.kind() {
            Kind::WrongUse => Exit::WrongUse,
            Kind::NotFound => Exit::No,
            Kind::Unavailable | Kind::BadAnswer => Exit::Unavailable,
        };
        let hint = error.hint();
        Self { exit, error: error.into(), detail: None, hint }
    }
}

/// Prints what went wrong, if anything did, and gives the exit code.
pub fn finish(outcome: Outcome) -> ExitCode {
    let exit = match outcome {
        Ok(exit) => exit,
        // Whoever read our output has seen enough (`| head`): that is no error.
        Err(failure) if is_broken_pipe(&failure.error) => Exit::Done,
        Err(failure) => {
            // If not even stderr takes the message, the exit code has to do.
            let _ = std::io::stderr().write_all(text_of(&failure).as_bytes());
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// Tells a person something that is not part of the answer.
pub fn note(word: &str, text: &str) {
    let _ = writeln!(std::io::stderr(), "{word}: {}", sanitize::line(text));
}

fn text_of(failure: &Failure) -> String {
    let mut message = failure.error.to_string();
    for cause in failure.error.chain().skip(1) {
        let cause = cause.to_string();
        // Some libraries repeat the source in their own text.
        if !message.ends_with(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    let mut text = format!("error: {}\n", sanitize::line(&message));
    if let Some(detail) = &failure.detail {
        text.push_str(&format!("{detail}\n"));
    }
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("hint: {}\n", sanitize::line(hint)));
    }
    text
}

// Of our own output: a connection to the server that breaks is an error like any other.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    if error.chain().any(|cause| cause.is::<ClientError>()) {
        return false;
    }
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    kinds.map(std::io::Error::kind).any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn prints_causes_once_and_the_hint_on_its_own_line() {
        let io = std::io::Error::other("disk on fire");
        let error = Err::<(), _>(io).context("cannot write \x1b[2Jfile").expect_err("an error");
        let failure = Failure::from(error).with_hint(Some("use water"));
        assert_eq!(text_of(&failure), "error: cannot write \\x1b[2Jfile: disk on fire\nhint: use water\n");
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&Failure::from(pipe).error));
        assert!(!is_broken_pipe(&anyhow::anyhow!("broken pipe")));
    }
}
