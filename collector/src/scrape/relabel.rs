//! Relabelling: Prometheus's rules that change or drop labels, of targets and of what they yield. Pure.

use md5::{Digest as _, Md5};
use regex::{Regex, RegexBuilder};

use super::labels::Labels;
use crate::limits::RELABEL_REGEX_BYTES_MAX;

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets a label by what the expression finds.
    Replace,
    /// Keeps what matches.
    Keep,
    /// Drops what matches.
    Drop,
    /// Keeps what equals a label.
    KeepEqual,
    /// Drops what equals a label.
    DropEqual,
    /// Sets a label to a hash.
    HashMod,
    /// Copies labels under other names.
    LabelMap,
    /// Takes labels away by their names.
    LabelDrop,
    /// Keeps labels by their names alone.
    LabelKeep,
    /// Sets a label in small letters.
    Lowercase,
    /// Sets a label in capitals.
    Uppercase,
}

impl Action {
    /// All actions.
    pub const ALL: [Action; 11] = [
        Action::Replace,
        Action::Keep,
        Action::Drop,
        Action::KeepEqual,
        Action::DropEqual,
        Action::HashMod,
        Action::LabelMap,
        Action::LabelDrop,
        Action::LabelKeep,
        Action::Lowercase,
        Action::Uppercase,
    ];

    /// Prometheus's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Replace => "replace",
            Action::Keep => "keep",
            Action::Drop => "drop",
            Action::KeepEqual => "keepequal",
            Action::DropEqual => "dropequal",
            Action::HashMod => "hashmod",
            Action::LabelMap => "labelmap",
            Action::LabelDrop => "labeldrop",
            Action::LabelKeep => "labelkeep",
            Action::Lowercase => "lowercase",
            Action::Uppercase => "uppercase",
        }
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The labels whose values are looked at.
    pub source_labels: Vec<String>,
    /// What stands between them.
    pub separator: String,
    /// What they are compared with.
    pub regex: Pattern,
    /// Of hashes.
    pub modulus: u64,
    /// The label that is set.
    pub target_label: String,
    /// What it is set to.
    pub replacement: String,
    /// What is done.
    pub action: Action,
}

/// A regular expression that a whole text has to match.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Reads it; the error is a line for people.
    pub fn new(text: &str) -> Result<Self, String> {
        let whole = RegexBuilder::new(&format!("^(?s:{text})$")).size_limit(RELABEL_REGEX_BYTES_MAX).build();
        let told = |error: regex::Error| {
            let text = error.to_string();
            text.lines().last().unwrap_or("it cannot be read").trim().trim_start_matches("error: ").to_owned()
        };
        Ok(Self { text: text.to_owned(), regex: whole.map_err(told)? })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        let parts = |rule: &Self| (rule.modulus, rule.action);
        let texts = |rule: &Self| (rule.separator.clone(), rule.target_label.clone(), rule.replacement.clone());
        parts(self) == parts(other)
            && texts(self) == texts(other)
            && self.source_labels == other.source_labels
            && self.regex == other.regex
    }
}

/// Applies rules in their order. Whether the labels are kept.
pub fn apply(rules: &[Rule], labels: &mut Labels<'_>) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Rule {
    fn apply(&self, labels: &mut Labels<'_>) -> bool {
        let regex = &self.regex.regex;
        let values: Vec<&str> = self.source_labels.iter().map(|name| labels.get(name)).collect();
        let value = values.join(&self.separator);
        match self.action {
            Action::Keep => return regex.is_match(&value),
            Action::Drop => return !regex.is_match(&value),
            Action::KeepEqual => return labels.get(&self.target_label) == value,
            Action::DropEqual => return labels.get(&self.target_label) != value,
            Action::Replace => self.replace(&value, labels),
            Action::Lowercase => labels.set(self.target_label.clone(), value.to_lowercase()),
            Action::Uppercase => labels.set(self.target_label.clone(), value.to_uppercase()),
            Action::HashMod => labels.set(self.target_label.clone(), hash(&value, self.modulus).to_string()),
            Action::LabelDrop => labels.retain(|name| !regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name| regex.is_match(name)),
            Action::LabelMap => {
                let named = labels.iter().filter(|(name, _)| regex.is_match(name));
                let copies: Vec<(String, String)> = named
                    .map(|(name, value)| (regex.replace_all(name, &*self.replacement).into_owned(), value.to_owned()))
                    .collect();
                copies.into_iter().for_each(|(name, value)| labels.set(name, value));
            }
        }
        true
    }

    fn replace(&self, value: &str, labels: &mut Labels<'_>) {
        let Some(found) = self.regex.regex.captures(value) else { return };
        let mut target = String::new();
        found.expand(&self.target_label, &mut target);
        if target.is_empty() {
            return;
        }
        let mut replacement = String::new();
        found.expand(&self.replacement, &mut replacement);
        match replacement.is_empty() {
            true => labels.remove(&target),
            false => labels.set(target, replacement),
        }
    }
}

// As Prometheus: the last eight bytes of the MD5.
fn hash(value: &str, modulus: u64) -> u64 {
    let digest = Md5::digest(value.as_bytes());
    let last = digest.iter().skip(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    last.checked_rem(modulus).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action, source: &[&str], regex: &str, target: &str, replacement: &str) -> Rule {
        Rule {
            source_labels: source.iter().map(|name| (*name).to_owned()).collect(),
            separator: ";".to_owned(),
            regex: Pattern::new(regex).expect("an expression"),
            modulus: 1000,
            target_label: target.to_owned(),
            replacement: replacement.to_owned(),
            action,
        }
    }

    // Labels as `a=foo b=bar`; `None` where they are dropped.
    fn check(rules: &[Rule], labels: &str, expected: Option<&str>) {
        let mut labels = Labels::of(labels.split_whitespace().filter_map(|pair| pair.split_once('=')));
        let is_kept = apply(rules, &mut labels);
        let set = labels.finish();
        let text: Vec<String> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(is_kept.then(|| text.join(" ")).as_deref(), expected, "{rules:?}");
    }

    #[test]
    fn every_action_does_what_prometheus_does() {
        use Action::*;
        let all = "a=foo b=bar c=baz";
        for (rule, expected) in [
            (rule(Replace, &["a"], "f(.*)", "d", "ch${1}-ch${1}"), Some("a=foo b=bar c=baz d=choo-choo")),
            (rule(Replace, &["a"], "x(.*)", "d", "$1"), Some(all)),
            (rule(Replace, &["a"], "o", "d", "unanchored"), Some(all)),
            (rule(Replace, &["a"], "f|foo", "d", "$0"), Some("a=foo b=bar c=baz d=foo")),
            (rule(Replace, &["a"], "(.*)", "a", ""), Some("b=bar c=baz")),
            (rule(Replace, &["a"], "(f).*", "${1}_x", "$$1"), Some("a=foo b=bar c=baz f_x=$1")),
            (rule(Replace, &["a", "b"], "(.*);(.*)", "a", "$2$1"), Some("a=barfoo b=bar c=baz")),
            (rule(Replace, &["a"], "(.*)", "d", "$1x"), Some(all)),
            (rule(Replace, &[], "(.*)", "d", "always"), Some("a=foo b=bar c=baz d=always")),
            (rule(Replace, &["none"], "", "d", "absent"), Some("a=foo b=bar c=baz d=absent")),
            (rule(Keep, &["a"], "fo+", "", ""), Some(all)),
            (rule(Keep, &["a"], "o", "", ""), None),
            (rule(Drop, &["a", "b"], "foo;ba.", "", ""), None),
            (rule(Drop, &["a"], "bar", "", ""), Some(all)),
            (rule(KeepEqual, &["a"], "", "a", ""), Some(all)),
            (rule(KeepEqual, &["a"], "", "b", ""), None),
            (rule(DropEqual, &["a"], "", "a", ""), None),
            (rule(DropEqual, &["a"], "", "b", ""), Some(all)),
            (rule(HashMod, &["c"], "", "d", ""), Some("a=foo b=bar c=baz d=976")),
            (rule(LabelMap, &[], "(b.*|a)", "", "x_$1"), Some("a=foo b=bar c=baz x_a=foo x_b=bar")),
            (rule(LabelDrop, &[], "[ab]", "", ""), Some("c=baz")),
            (rule(LabelKeep, &[], "[ab]", "", ""), Some("a=foo b=bar")),
            (rule(Uppercase, &["a"], "", "a", ""), Some("a=FOO b=bar c=baz")),
            (rule(Lowercase, &["a", "b"], "", "d", ""), Some("a=foo b=bar c=baz d=foo;bar")),
        ] {
            check(&[rule], all, expected);
        }
    }

    #[test]
    fn rules_see_what_those_before_them_did() {
        use Action::*;
        let rules = [
            rule(Replace, &["a"], "(.*)", "b", "${1}1"),
            rule(Replace, &["b"], "foo1", "c", "seen"),
            rule(LabelDrop, &[], "a", "", ""),
        ];
        check(&rules, "a=foo", Some("b=foo1 c=seen"));
        check(&[rule(Drop, &["a"], "foo", "", ""), rule(Replace, &[], ".*", "z", "z")], "a=foo", None);
    }

    #[test]
    fn hashes_are_those_of_prometheus() {
        // `md5("baz")` ends in 4b5f3e4d5a4d6f42 or whatever it is: what counts is the big-endian rest of its second half.
        let digest: [u8; 16] = Md5::digest(b"baz").into();
        let half = u64::from_be_bytes(digest[8..].try_into().expect("eight bytes"));
        assert_eq!(hash("baz", 1000), half % 1000);
        assert_eq!(hash("baz", 0), 0);
    }

    #[test]
    fn expressions_that_cannot_work_are_told_in_a_line() {
        let error = Pattern::new("(").expect_err("it is open");
        assert!(!error.contains('\n') && error.contains("unclosed group"), "{error}");
    }
}
