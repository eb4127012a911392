//! Every section of the PromQL test scripts through the front door: a server of its own for each, its series sent by OTLP or by remote
//! write, its questions asked over HTTP.
//!
//! What a door cannot carry is left out or simplified, series by series. Of the questions that then have another answer (the engine
//! says so, over the same series in memory) the page `docs/promql-front-door.md` is the list; every other one is held against what the
//! script demands. `UPDATE_REFERENCE=1` writes the page anew.

mod door;
mod given;
mod page;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use promqltest::{Answer, Case, Failure, Section, Series, Step, When};
use tui::Client;

use self::door::Door;
use self::page::{Chapter, Listed};
use crate::asking::post_query;
use crate::harness::Place;
use query::promql::MemorySource;

/// Servers that are there at a time.
const AT_ONCE: usize = 3;

/// Names stay as they are sent.
const CONFIGURATION: &str = "log = \"warn\"\n[query]\nname_strategy = \"NoTranslation\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn scripts_pass_through_the_front_door() {
    let of_prometheus = promqltest::cases("promqltest");
    let chapters =
        [Some(("Sextant's own scripts", promqltest::own())), of_prometheus.map(|at| ("Prometheus's scripts", at))];
    let mut pages = Vec::new();
    let mut failures = Vec::new();
    for (title, directory) in chapters.into_iter().flatten() {
        let scripts = promqltest::scripts(&directory).expect("the scripts can be read");
        let sections: Vec<Section> = scripts.iter().flat_map(|(name, text)| promqltest::sections(name, text)).collect();
        let (chapter, failed) = run(title, sections).await;
        println!("{}", chapter.summary());
        failures.extend(failed);
        pages.push(chapter);
    }
    assert!(failures.is_empty(), "{} evaluations differ:\n{}", failures.len(), failures.join("\n"));
    page::check(&pages);
}

// Each section through each door.
async fn run(title: &'static str, sections: Vec<Section>) -> (Chapter, Vec<String>) {
    let trials = sections.len() * Door::ALL.len();
    let (sections, next) = (Arc::new(sections), Arc::new(AtomicUsize::new(0)));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (sections, next) = (Arc::clone(&sections), Arc::clone(&next));
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let trial = next.fetch_add(1, Ordering::Relaxed);
                if trial >= trials {
                    return done;
                }
                let (number, door) = (trial / Door::ALL.len(), Door::ALL[trial % Door::ALL.len()]);
                done.push((trial, try_section(&sections[number], number, door).await));
            }
        });
    }
    let mut tried: Vec<(usize, Tried)> = workers.join_all().await.into_iter().flatten().collect();
    tried.sort_by_key(|(trial, _)| *trial);
    let failures = tried.iter_mut().flat_map(|(_, tried)| std::mem::take(&mut tried.failures)).collect();
    let listed = tried.into_iter().map(|(_, tried)| tried.listed).collect();
    (Chapter { title, listed }, failures)
}

struct Tried {
    listed: Listed,
    failures: Vec<String>,
}

async fn try_section(section: &Section, number: usize, door: Door) -> Tried {
    let place = Place::configured(CONFIGURATION);
    let mut server = place.serve().await;
    let mut source = MemorySource::new();
    let mut listed = Listed::new(&section.place, door);
    let mut failures = Vec::new();
    for step in &section.steps {
        match step {
            Step::Wrong(why) => failures.push(why.clone()),
            Step::Load(all) => {
                let carried: Vec<Series> = all.iter().filter_map(|series| listed.carried(series)).collect();
                promqltest::load(&mut source, &carried);
                door.send(&server, number, &carried).await;
                // What half of the sections ask about is in parts, of the others in memory.
                if number % 4 >= 2 {
                    server.stop(Duration::from_secs(60)).await.expect("it stops");
                    server = place.serve().await;
                }
            }
            Step::Eval(case) if check(&source, case).is_ok() => match ask_server(&server.client(), case).await {
                Ok(()) => listed.passed += 1,
                Err(why) => failures.push(format!("{} {why}", door.name())),
            },
            Step::Eval(_) => listed.left_out += 1,
        }
    }
    Tried { listed, failures }
}

async fn ask_server(client: &Client, case: &Case) -> Result<(), String> {
    let ask =
        async |when: When| -> Result<Answer, Failure> { given::answer(&post_query(client, &case.query, when).await) };
    let outcome = ask(case.when).await;
    case.judge(&outcome)?;
    match case.as_range(&outcome) {
        Some(when) => case.judge_range(&outcome, &ask(when).await),
        None => Ok(()),
    }
}

// Whether the engine's answer over the same series is what the script demands.
fn check(source: &MemorySource, case: &Case) -> Result<(), String> {
    case.judge(&promqltest::ask(source, &case.query, case.when, &promqltest::options()).map_err(Failure::from))
}
