//! What rules take over: the alerts of the process before at a start, those of the rules before at a reload; and the end of what
//! belongs to rules that are gone.
//!
//! Every time comes back as it was, however long the server was away: an alert that was pending goes on being pending since the
//! same moment, one that fired fires on. Only the next evaluation decides what is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Timestamp;
use store::StoreError;

use super::alert::{Alert, fingerprint};
use super::alerting::withdraw;
use super::condition::chain;
use super::group::{Context, Group};
use super::history::History;
use super::recording;
use super::rule::{RuleState, bare};
use super::state::{self, RuleId};

/// What rules had come to, by what makes them the same rules.
pub type Before = BTreeMap<RuleId, RuleState>;

/// What the process before left in the store.
pub fn left_in_store(context: &Context) -> Before {
    let (rules, unreadable) = state::read(&context.store.state(state::TABLE));
    if unreadable > 0 {
        tracing::error!(unreadable, "the state of some alerts cannot be read; they begin anew");
    }
    rules.into_iter().map(|(id, alerts)| (id, RuleState::of(alerts))).collect()
}

/// What these groups have come to.
pub fn of_groups<'a>(groups: impl IntoIterator<Item = &'a Arc<Group>>) -> Before {
    let rules = groups.into_iter().flat_map(|group| &group.rules);
    rules.map(|rule| (rule.id.clone(), rule.state())).collect()
}

/// Hands each rule what it had come to. What remains in `before` belongs to no rule any more.
pub fn take_over(groups: &[Arc<Group>], before: &mut Before) {
    for rule in groups.iter().flat_map(|group| &group.rules) {
        if let Some(state) = before.remove(&rule.id) {
            rule.take_over(state);
        }
    }
}

/// Ends what belongs to rules that are gone: firing alerts are resolved and told, series end. What cannot be written now is
/// tried again at the next start.
pub async fn end(context: &Context, gone: Before) {
    let now = context.clock.now();
    for (id, state) in gone {
        if let Err(error) = end_one(context, &id, &state, now).await {
            let error = chain(&error);
            tracing::warn!(
                file = id.file,
                group = id.group,
                rule = id.name,
                "a rule that is gone is not ended: {error}"
            );
        }
    }
}

/// Resolves what receivers believe to fire and no rule has: alerts that left with other external labels than those of today.
pub async fn end_unknown(context: &Context, groups: &[Arc<Group>]) {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let known: BTreeSet<u64> = rules
        .flat_map(|rule| {
            rule.state().alerts.values().map(|alert| fingerprint(&context.labels_of(alert))).collect::<Vec<_>>()
        })
        .collect();
    let now = context.clock.now().as_nanos();
    let unknown = context.receiver.firing().into_iter().filter(|alert| !known.contains(&alert.fingerprint()));
    let over: Vec<Alert> = unknown.map(|alert| Alert { ends_at: Some(now), ..alert }).collect();
    if over.is_empty() {
        return;
    }
    match context.store.writer().change_state(context.receiver.changes(&over)).await {
        Ok(()) => context.receiver.accept(over),
        Err(error) => tracing::warn!("alerts that no rule has are not resolved: {}", chain(&error)),
    }
}

async fn end_one(context: &Context, id: &RuleId, state: &RuleState, now: Timestamp) -> Result<(), StoreError> {
    let step = withdraw(&state.alerts, now.as_millis());
    let records = context.records(id, &step, now);
    let leaving: Vec<Alert> = step.send.iter().map(|alert| bare(context, alert)).collect();
    let mut changes = state::changes(id, &state.alerts, &step.alerts);
    changes.extend(History::changes(&records));
    changes.extend(context.receiver.changes(&leaving));
    let writer = context.store.writer();
    if !changes.is_empty() {
        writer.change_state(changes).await?;
    }
    context.receiver.accept(leaving);
    context.tell(records).await;
    writer.append(recording::batch(writer.series_key(), now, &[], state.series.iter())).await?;
    Ok(())
}
