//! The reference page says what the code says.

use collector::{Reason, Warning};

const PAGE: &str = include_str!("../../../docs/reference/otlp.md");

#[test]
fn every_reason_and_warning_is_documented_in_the_words_of_the_answer() {
    for reason in Reason::ALL {
        let row = format!("| `{}` | {} | {} |", reason.as_str(), reason.what(), reason.remedy());
        assert!(PAGE.contains(&row), "docs/reference/otlp.md lacks: {row}");
    }
    for warning in Warning::ALL {
        let row = format!("| `{}` | {} |", warning.as_str(), warning.what());
        assert!(PAGE.contains(&row), "docs/reference/otlp.md lacks: {row}");
    }
}
