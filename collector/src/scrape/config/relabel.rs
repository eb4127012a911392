//! Rules of relabelling as they stand in the file.

use super::ConfigError;
use crate::scrape::relabel::{Action, Pattern, Rule};
use model::yaml::{Map, Node, Source};

/// The rules below a key.
pub(super) fn rules(source: Source<'_>, map: &Map<'_>, key: &'static str) -> Result<Vec<Rule>, ConfigError> {
    let what = map.name(key);
    map.list(key)?.iter().map(|node| rule(source, node, &what)).collect()
}

fn rule(source: Source<'_>, node: &Node, what: &str) -> Result<Rule, ConfigError> {
    let map = node.map(source, what)?;
    let action = match map.text("action")? {
        None => Action::Replace,
        Some(word) => {
            let known = Action::ALL.into_iter().find(|action| action.as_str().eq_ignore_ascii_case(&word));
            let names = Action::ALL.map(Action::as_str).join(", ");
            known.ok_or_else(|| {
                map.error("action", format!("there is no action {word:?}"), format!("write one of {names}"))
            })?
        }
    };
    let text = map.text("regex")?;
    let regex = Pattern::new(text.as_deref().unwrap_or("(.*)"));
    let regex = regex.map_err(|why| map.error("regex", format!("{} cannot be read: {why}", map.name("regex")), ""))?;
    let rule = Rule {
        source_labels: map.texts("source_labels")?.into_iter().map(|(name, _)| name).collect(),
        separator: map.text("separator")?.unwrap_or_else(|| ";".to_owned()),
        regex,
        modulus: map.number("modulus")?.unwrap_or(0),
        target_label: map.text("target_label")?.unwrap_or_default(),
        replacement: map.text("replacement")?.unwrap_or_else(|| "$1".to_owned()),
        action,
    };
    check(&map, &rule, text.is_some())?;
    map.end()?;
    Ok(rule)
}

fn check(map: &Map<'_>, rule: &Rule, has_regex: bool) -> Result<(), ConfigError> {
    use Action::{DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, Lowercase, Replace, Uppercase};
    let word = rule.action.as_str();
    let needs_target = matches!(rule.action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
    if needs_target && rule.target_label.is_empty() {
        return Err(map.error(
            "action",
            format!("{word} needs a target_label"),
            "write the label that is set or compared",
        ));
    }
    if rule.action == HashMod && rule.modulus == 0 {
        return Err(map.error(
            "action",
            "hashmod needs a modulus from 1",
            "write modulus: 8, or however many there are",
        ));
    }
    if rule.action != HashMod && rule.modulus != 0 {
        return Err(map.error("modulus", format!("{word} has no modulus"), "remove it, or write action: hashmod"));
    }
    let is_by_name = matches!(rule.action, LabelDrop | LabelKeep);
    let is_equal = matches!(rule.action, KeepEqual | DropEqual);
    if is_equal && has_regex || (is_equal || is_by_name) && rule.replacement != "$1" {
        let message = format!("{word} takes neither regex nor replacement but its own keys");
        return Err(map.error("action", message, "remove what does not belong to it"));
    }
    if is_by_name && (!rule.source_labels.is_empty() || !rule.target_label.is_empty() || rule.separator != ";") {
        return Err(map.error("action", format!("{word} takes regex alone"), "remove the other keys"));
    }
    Ok(())
}
