//! `shop fault NAME [AMOUNT]`, `shop fault NAME --stop`, `shop faults`.

use std::io::Write as _;

use anyhow::Context as _;
use axum::http::Method;
use clap::Args;

use super::ask::ask;
use crate::faults::control::{Start, Started};
use crate::{Fault, FaultKind};

/// What shall break.
#[derive(Args, Debug)]
pub struct FaultArgs {
    /// What shall break: payments-error, slow-database, ...; `shop faults` lists them.
    name: String,
    /// How much of it: 30%, 800ms, ... [default: enough to be noticed]
    amount: Option<String>,
    /// Stops it.
    #[arg(long, conflicts_with_all = ["amount", "instance", "seconds"])]
    stop: bool,
    /// The instance, for a fault that breaks one of a service [default: the last].
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// It stops by itself after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
    #[command(flatten)]
    shop: ShopArgs,
}

/// Whom to ask.
#[derive(Args, Debug)]
pub struct FaultsArgs {
    #[command(flatten)]
    shop: ShopArgs,
}

#[derive(Args, Debug)]
struct ShopArgs {
    /// Where the shop is asked: the gateway's internal address.
    #[arg(long = "shop", value_name = "URL", env = "SHOP_INTERNAL", default_value = super::INTERNAL)]
    url: String,
}

pub(super) async fn start_or_stop(args: FaultArgs) -> anyhow::Result<()> {
    let text = args.amount.iter().fold(args.name.clone(), |name, amount| format!("{name}:{amount}"));
    let fault: Fault = text.parse()?;
    let shop = &args.shop.url;
    if args.stop {
        ask(Method::DELETE, shop, &format!("/faults/{}", fault.kind()), String::new()).await?;
        return say(&format!("stopped {}", fault.kind()));
    }
    let started = start(shop, Start { fault, instance: args.instance, seconds: args.seconds }).await?;
    say(&format!("started {}: {}", started.fault, started.effect))?;
    let services = started.services.join(" and ");
    let whom = started.instance.map_or_else(|| services.clone(), |instance| format!("{services}, {instance}"));
    say(&format!("breaks  {whom}; stop it with: fault {} --stop", fault.kind()))
}

/// Starts a fault in the shop whose gateway listens at this internal address.
pub async fn start_fault(shop: &str, fault: Fault, seconds: Option<f64>) -> anyhow::Result<()> {
    start(shop, Start { fault, instance: None, seconds }).await.map(drop)
}

async fn start(shop: &str, start: Start) -> anyhow::Result<Started> {
    let body = serde_json::to_string(&start).context("cannot write the fault")?;
    let answer = ask(Method::POST, shop, "/faults", body).await?;
    let all: Vec<Started> = serde_json::from_slice(&answer).context("the gateway's answer is no list of faults")?;
    let ours = all.into_iter().find(|started| started.fault.kind() == start.fault.kind());
    ours.context("the gateway took the fault and has forgotten it")
}

/// Stops a fault.
pub async fn stop_fault(shop: &str, kind: FaultKind) -> anyhow::Result<()> {
    ask(Method::DELETE, shop, &format!("/faults/{kind}"), String::new()).await.map(drop)
}

pub(super) async fn list(args: FaultsArgs) -> anyhow::Result<()> {
    let answer = ask(Method::GET, &args.shop.url, "/faults", String::new()).await?;
    let active: Vec<Started> = serde_json::from_slice(&answer).context("the gateway's answer is no list of faults")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<22} {:<24} what it does", "fault", "active")?;
    for kind in FaultKind::ALL {
        let is_active = active.iter().find(|started| started.fault.kind() == kind);
        let active = is_active.map_or_else(String::new, |started| {
            let instance = started.instance.as_ref().map(|instance| format!(" {instance}")).unwrap_or_default();
            format!("{:.0} s{instance}", started.since_s)
        });
        let fault = is_active.map_or_else(|| Fault::new(kind), |started| started.fault);
        writeln!(out, "{:<22} {active:<24} {}", fault.to_string(), kind.effect())?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").context("cannot write to stdout")
}
