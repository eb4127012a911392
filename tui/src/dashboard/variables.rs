//! Variables in queries: which names a text holds, and what it becomes once values stand for them.
//!
//! `$name` and `${name}` are the same; a dollar that no name follows is a dollar, so that regular expressions keep theirs.
//! What a value becomes depends on the language around it: a regular expression's alternatives in PromQL, a whole regular
//! expression in the filter language, plain words in titles and legends.

use std::collections::BTreeMap;

/// Names that every board knows: the step, four sources' intervals or more, and the time range, as durations of PromQL.
pub const BUILT_IN: [&str; 3] = ["__interval", "__rate_interval", "__range"];

/// What was chosen for a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Everything.
    All,
    /// This one.
    One(String),
    /// Each of these. Never empty.
    Several(Vec<String>),
    /// Text that stands as it was written, in any language.
    Text(String),
}

/// What was chosen for all variables of a board, and the built-in ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices(BTreeMap<String, Choice>);

/// The language that a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// PromQL.
    Promql,
    /// The filter language.
    Filter,
    /// People's.
    Words,
}

impl Choices {
    /// Chooses for `name`.
    pub fn set(&mut self, name: &str, choice: Choice) {
        self.0.insert(name.to_owned(), choice);
    }

    /// What was chosen for `name`.
    pub fn get(&self, name: &str) -> Option<&Choice> {
        self.0.get(name)
    }

    /// Sets the built-in variables for a step, a time range and the interval that sources send at.
    pub fn set_times(&mut self, step_ms: u64, range_ms: u64, interval_ms: u64) {
        let text = |millis: u64| Choice::Text(promql_duration(millis));
        self.set("__interval", text(step_ms));
        self.set("__rate_interval", text(step_ms.max(interval_ms.saturating_mul(4))));
        self.set("__range", text(range_ms));
    }

    /// `text` with values in place of names. Names that nothing was chosen for stay as they are.
    pub fn apply(&self, text: &str, language: Language) -> String {
        let mut out = String::with_capacity(text.len() + 16);
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let known = name_at(rest).and_then(|(name, length)| Some((self.0.get(name)?, length)));
            match known {
                Some((choice, length)) => {
                    out.push_str(&choice.written(language));
                    rest = &rest[length..];
                }
                None => {
                    out.push('$');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        out
    }
}

impl Choice {
    /// The choice for people.
    pub fn words(&self) -> String {
        self.written(Language::Words)
    }

    fn written(&self, language: Language) -> String {
        let alternatives = |values: &[String]| values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join("|");
        match (self, language) {
            (Choice::Text(text), _) => text.clone(),
            (Choice::All, Language::Promql) => ".*".to_owned(),
            (Choice::All, Language::Filter) => "*".to_owned(),
            (Choice::All, Language::Words) => "all".to_owned(),
            (Choice::One(value), Language::Promql) => in_string(value),
            (Choice::Several(values), Language::Promql) => in_string(&alternatives(values)),
            (Choice::One(value), Language::Filter) => format!("/^({})$/", in_slashes(&quoted(value))),
            (Choice::Several(values), Language::Filter) => format!("/^({})$/", in_slashes(&alternatives(values))),
            (Choice::One(value), Language::Words) => value.clone(),
            (Choice::Several(values), Language::Words) => values.join(", "),
        }
    }
}

/// Whether `text` can be a variable's or a label's name.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The names that stand in `text` behind dollars.
pub fn names(text: &str) -> Vec<&str> {
    text.match_indices('$').filter_map(|(at, _)| name_at(&text[at..])).map(|(name, _)| name).collect()
}

/// A series' name for the legend: `template` with the series' labels in place of `{{label}}`.
pub fn legend<'a>(template: &str, label: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start..].find("}}") else { break };
        out.push_str(&rest[..start]);
        out.push_str(label(rest[start + 2..start + length].trim()).unwrap_or("-"));
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

/// A duration as PromQL reads it.
pub fn promql_duration(millis: u64) -> String {
    match millis.max(1) {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

// The name at the beginning of `text`, which begins with a dollar, and how many bytes it takes with its dollar and braces.
fn name_at(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix('$')?;
    if let Some(inner) = rest.strip_prefix('{') {
        let end = inner.find('}')?;
        return is_name(&inner[..end]).then_some((&inner[..end], end + 3));
    }
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    is_name(&rest[..end]).then_some((&rest[..end], end + 1))
}

// The text as a regular expression that matches only itself.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

// The text inside a string of PromQL, where a value stands nearly always.
fn in_string(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn in_slashes(text: &str) -> String {
    text.replace('/', "\\/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices() -> Choices {
        let mut choices = Choices::default();
        let text = |text: &str| text.to_owned();
        choices.set("all", Choice::All);
        choices.set("one", Choice::One(text("shop/orders")));
        choices.set("odd", Choice::One(text("a\"b\\c")));
        choices.set("two", Choice::Several(vec![text("a.b"), text("c|d")]));
        choices.set("q", Choice::Text(text("severity:>=warn")));
        choices.set_times(15_000, 3_600_000, 1_000);
        choices
    }

    #[test]
    fn values_stand_for_names() {
        for (text, language, expected) in [
            ("up{job=\"$one\"}", Language::Promql, "up{job=\"shop/orders\"}"),
            ("up{job=~\"${one}.*\"}", Language::Promql, "up{job=~\"shop/orders.*\"}"),
            ("up{job=~\"$all\"}", Language::Promql, "up{job=~\".*\"}"),
            ("up{job=~\"$two\"}", Language::Promql, "up{job=~\"a\\\\.b|c\\\\|d\"}"),
            ("up{job=\"$odd\"}", Language::Promql, "up{job=\"a\\\"b\\\\c\"}"),
            ("rate(x[$__rate_interval])", Language::Promql, "rate(x[15s])"),
            ("x[$__range]", Language::Promql, "x[3600s]"),
            ("up{job=~\"x$\"}", Language::Promql, "up{job=~\"x$\"}"),
            (
                "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")",
                Language::Promql,
                "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")",
            ),
            ("$none ${none} ${ $", Language::Promql, "$none ${none} ${ $"),
            ("service:$one", Language::Filter, "service:/^(shop\\/orders)$/"),
            ("service:$two $q", Language::Filter, "service:/^(a\\.b|c\\|d)$/ severity:>=warn"),
            ("service:$all", Language::Filter, "service:*"),
            ("of $one and $two, $all", Language::Words, "of shop/orders and a.b, c|d, all"),
        ] {
            assert_eq!(choices().apply(text, language), expected, "{text}");
        }
    }

    #[test]
    fn names_are_found() {
        for (text, expected) in
            [("$a ${b_2} $1 $ ${} ${x y} $$c", vec!["a", "b_2", "c"]), ("x$", vec![]), ("$ä", vec![])]
        {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn legends_name_series() {
        let label = |name: &str| match name {
            "job" => Some("shop"),
            "code" => Some("500"),
            _ => None,
        };
        for (template, expected) in
            [("{{job}} {{ code }}", "shop 500"), ("{{none}}", "-"), ("{{job", "{{job"), ("plain }} {{", "plain }} {{")]
        {
            assert_eq!(legend(template, label), expected);
        }
    }
}
