//! `/api/v1/rules` and `/api/v1/alerts`, Prometheus's own, to the letter.

use std::sync::Arc;

use axum::extract::State;
use model::wire::alerts::{Alerts, RuleGroup, Rules as WireRules};
use sha2::{Digest as _, Sha256};

use crate::api::ApiState;
use crate::api::prom::{Params, PromError, Reply};
use crate::promql::{Matcher, all_accept};
use crate::rules::group::Group;
use crate::rules::{Rules, show};

/// `GET /api/v1/rules`
pub async fn rules(State(state): State<ApiState>, params: Params) -> Result<Reply<WireRules>, PromError> {
    let wanted = Wanted::read(&params)?;
    let Some(rules) = state.rules.clone() else { return Ok(Reply::plain(WireRules::default())) };
    // There may be ten thousand rules with their templates to copy.
    let page = tokio::task::spawn_blocking(move || {
        let page = wanted.page(&rules);
        page.map(|page| (page, rules.broken()))
    });
    let (page, broken) = page.await.map_err(|_| PromError::unavailable("the answer ended unexpectedly"))??;
    let mut reply = Reply::plain(page);
    let stays = "a file has a mistake, what was in force before stays in force: ";
    reply.warnings.extend(broken.iter().map(|error| format!("{stays}{error}")));
    Ok(reply)
}

/// `GET /api/v1/alerts`
pub async fn alerts(State(state): State<ApiState>) -> Result<Reply<Alerts>, PromError> {
    let Some(rules) = state.rules.clone() else { return Ok(Reply::plain(Alerts::default())) };
    let all = tokio::task::spawn_blocking(move || all_alerts(&rules));
    let alerts = all.await.map_err(|_| PromError::unavailable("the answer ended unexpectedly"))?;
    Ok(Reply::plain(Alerts { alerts }))
}

/// Every pending and firing alert.
pub fn all_alerts(rules: &Rules) -> Vec<model::wire::alerts::Alert> {
    let groups = rules.groups();
    groups.iter().flat_map(|group| &group.rules).flat_map(|rule| show::alerts(rules.context(), rule)).collect()
}

// What of the rules is asked for.
struct Wanted {
    alerting: bool,
    recording: bool,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    matchers: Vec<Vec<Matcher>>,
    with_alerts: bool,
    page: usize,
    token: String,
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, PromError> {
        let (alerting, recording) = match params.text("type").to_lowercase().as_str() {
            "" => (true, true),
            "alert" => (true, false),
            "record" => (false, true),
            other => return Err(PromError::bad_parameter("type", format!("not supported value {other:?}"))),
        };
        let without = params.text("exclude_alerts");
        let with_alerts = match without.to_lowercase().as_str() {
            "" | "false" | "0" | "f" => true,
            "true" | "1" | "t" => false,
            _ => return Err(PromError::bad_parameter("exclude_alerts", format!("cannot parse {without:?}"))),
        };
        let (page, token) = (params.limit("group_limit")?, params.text("group_next_token").to_owned());
        if !token.is_empty() && page == 0 {
            let reason = "group_limit needs to be present in order to paginate over the groups";
            return Err(PromError::bad_parameter("group_limit", reason));
        }
        Ok(Self {
            alerting,
            recording,
            names: params.all("rule_name[]"),
            groups: params.all("rule_group[]"),
            files: params.all("file[]"),
            matchers: params.selectors()?,
            with_alerts,
            page,
            token,
        })
    }

    fn page(&self, rules: &Rules) -> Result<WireRules, PromError> {
        let mut page = WireRules::default();
        let mut begun = self.token.is_empty();
        for group in rules.groups() {
            begun = begun || self.token == token(&group);
            if !begun {
                continue;
            }
            let Some(shown) = self.group(rules, &group) else { continue };
            if self.page > 0 && page.groups.len() == self.page {
                page.group_next_token = Some(token(&group));
                break;
            }
            page.groups.push(shown);
        }
        if !begun {
            let reason = format!("invalid group_next_token {:?}. were rule groups changed?", self.token);
            return Err(PromError::bad_parameter("group_next_token", reason));
        }
        Ok(page)
    }

    // `None` if nothing of it is asked for.
    fn group(&self, rules: &Rules, group: &Arc<Group>) -> Option<RuleGroup> {
        let among = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
        if !among(&self.groups, &group.spec.name) || !among(&self.files, &group.path) {
            return None;
        }
        let chosen = group.rules.iter().filter(|rule| {
            let of_kind = if rule.rule.alert().is_some() { self.alerting } else { self.recording };
            let accepted = |matchers: &Vec<Matcher>| all_accept(matchers, &show::labels(rule));
            let matches = self.matchers.is_empty() || self.matchers.iter().any(accepted);
            of_kind && among(&self.names, &rule.rule.name) && matches
        });
        let shown: Vec<_> = chosen.map(|rule| show::rule(rules.context(), rule, self.with_alerts)).collect();
        (!shown.is_empty()).then(|| RuleGroup { rules: shown, ..show::group(group) })
    }
}

// Names a group as the first of a page.
fn token(group: &Group) -> String {
    let mut digest = Sha256::new();
    digest.update((group.path.len() as u64).to_le_bytes());
    digest.update(&group.path);
    digest.update(&group.spec.name);
    model::id::hex(&digest.finalize())
}
