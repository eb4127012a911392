//! Label matchers: what a selector's braces hold. Sources narrow by them, and decide by them exactly.

use model::Labels;
use regex::{Regex, RegexBuilder};

use super::limits;
use crate::limits::REGEX_DEPTH_MAX;

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// What its value has to be. An absent label has the empty value.
    pub condition: Condition,
}

/// The four kinds of matchers.
#[derive(Clone, Debug)]
pub enum Condition {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, always anchored at both ends.
    Matches(Regex),
    /// `!~`
    NotMatches(Regex),
}

impl Matcher {
    /// `name="value"`
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), condition: Condition::Equal(value.to_owned()) }
    }

    /// The only value that it accepts, if that is known.
    pub fn equal_to(&self) -> Option<&str> {
        match &self.condition {
            Condition::Equal(value) => Some(value),
            _ => None,
        }
    }

    /// Whether a label with this value (empty if absent) is accepted.
    pub fn accepts(&self, value: &str) -> bool {
        match &self.condition {
            Condition::Equal(expected) => value == expected,
            Condition::NotEqual(refused) => value != refused,
            Condition::Matches(regex) => regex.is_match(value),
            Condition::NotMatches(regex) => !regex.is_match(value),
        }
    }
}

/// Whether `labels` satisfy all `matchers`.
pub fn all_accept(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.accepts(labels.get(&matcher.name).unwrap_or("")))
}

/// The value that `__name__` must have, if the matchers allow only one.
pub fn only_name(matchers: &[Matcher]) -> Option<&str> {
    matchers.iter().find_map(|matcher| match &matcher.condition {
        Condition::Equal(name) if matcher.name == model::labels::METRIC_NAME && !name.is_empty() => Some(name.as_str()),
        _ => None,
    })
}

/// Compiles a matcher's expression: anchored, and `.` matches line feeds too, as in Prometheus.
pub(super) fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    let build = |pattern: &str| {
        let mut builder = RegexBuilder::new(&format!("^(?s:{pattern})$"));
        builder.size_limit(limits::REGEX_BYTES_MAX).nest_limit(REGEX_DEPTH_MAX).build()
    };
    // RE2, Prometheus's dialect, reads a brace that starts no repetition as itself; this crate refuses it.
    build(pattern).or_else(|error| build(&escape_lone_braces(pattern)).map_err(|_| error))
}

fn escape_lone_braces(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len() + 4);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let (head, tail) = rest.split_at(c.len_utf8());
        match c {
            '\\' => {
                let length = head.len() + tail.chars().next().map_or(0, char::len_utf8);
                // `\p{Greek}` and `\x{41}` keep their braces.
                let braced = tail.starts_with(['p', 'P', 'x']) && tail[1..].starts_with('{');
                let end = if braced { rest.find('}').map_or(rest.len(), |end| end + 1) } else { length };
                escaped.push_str(&rest[..end]);
                rest = &rest[end..];
                continue;
            }
            '{' if !starts_repetition(tail) => escaped.push_str("\\{"),
            _ => escaped.push_str(head),
        }
        rest = tail;
    }
    escaped
}

// Whether `tail`, what follows an opening brace, reads `3}`, `3,}` or `3,5}`.
fn starts_repetition(tail: &str) -> bool {
    let Some((inside, _)) = tail.split_once('}') else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_conditions() {
        let regex = |pattern: &str| anchored(pattern).expect("the pattern is valid");
        let cases = [
            (Condition::Equal("a".into()), ["a"].as_slice(), ["", "b", "aa"].as_slice()),
            (Condition::NotEqual("a".into()), &["", "b"], &["a"]),
            (Condition::Matches(regex("a|b+")), &["a", "b", "bbb"], &["", "ab", "xa", "a\n"]),
            (Condition::NotMatches(regex("a.*")), &["", "b"], &["a", "abc", "a\nb"]),
            (Condition::Matches(regex("")), &[""], &["a"]),
            (Condition::Matches(regex("(?i:a)b")), &["Ab", "ab"], &["aB"]),
            (Condition::Matches(regex("/api/{id}/x{2}")), &["/api/{id}/xx"], &["/api/id/xx"]),
            (Condition::Matches(regex(r"\p{Greek}+{a")), &["αβ{a"], &["ab"]),
        ];
        for (condition, accepted, refused) in cases {
            let matcher = Matcher { name: "l".into(), condition };
            for value in accepted {
                assert!(matcher.accepts(value), "{matcher:?} accepts {value:?}");
            }
            for value in refused {
                assert!(!matcher.accepts(value), "{matcher:?} refuses {value:?}");
            }
        }
    }

    #[test]
    fn an_absent_label_is_an_empty_one() {
        let labels = Labels::new([("a", "1")]);
        assert!(all_accept(&[Matcher::equal("b", "")], &labels));
        assert!(!all_accept(&[Matcher::equal("a", "")], &labels));
    }

    #[test]
    fn bounds_the_size_of_expressions() {
        assert!(anchored("((a{500}){500}){500}").is_err());
    }
}
