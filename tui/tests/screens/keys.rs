//! Every binding of the key table does something that can be seen, wherever it stands.

use tui::keymap::{self, Action, Binding, Place};
use tui::screen;
use tui::theme::Theme;

use super::driver::Driver;
use super::fixture;

// What has to be pressed first, so that there is something to do.
fn before(place: Place, action: Action) -> &'static str {
    match (place, action) {
        (Place::Help, Action::Up | Action::PageUp) => "? PageDown",
        (Place::Help, _) => "?",
        (Place::Prompt, Action::Up | Action::EraseLine) => ": Down Down",
        (Place::Prompt, Action::Down | Action::Complete | Action::Accept | Action::Back | Action::Quit) => ":",
        (Place::Prompt, Action::Right | Action::EraseAt | Action::LineEnd) => ": \"xyz\" Home",
        (Place::Prompt, _) => ": \"xyz\"",
        (Place::Screen("logs"), Action::Down | Action::HalfDown | Action::PageDown | Action::Last) => "g g",
        (Place::Screen("dashboards"), Action::Own("left")) => "G k Enter l",
        (Place::Screen("dashboards"), Action::Own("toggle")) => "G k Enter j Enter",
        (Place::Screen("dashboards"), Action::Own("sort")) => "G k Enter j j l",
        (Place::Screen("dashboards"), Action::Own(_) | Action::NextPane | Action::PreviousPane) => "G k Enter",
        (Place::Screen("metrics"), Action::Own("toggle" | "alone" | "ink")) => "j Enter",
        (Place::Screen("metrics"), Action::NextPane | Action::PreviousPane) => "",
        (_, Action::Up | Action::HalfUp | Action::PageUp | Action::First) => "j j j",
        (Place::Screen("overview"), Action::NextPane | Action::PreviousPane) => "",
        (Place::Screen("traces"), Action::NextPane | Action::PreviousPane) => "d",
        (_, Action::NextPane | Action::PreviousPane) => "Enter",
        (Place::Screen("trace"), Action::Own("unfold")) => "g g h",
        (_, Action::Own("next error" | "next warning")) => "g g",
        (_, Action::Own("previous error" | "previous warning")) => "G",
        _ => "",
    }
}

#[test]
fn every_binding_does_something() {
    let mut tested = 0;
    for spec in screen::ALL {
        let places: &[Place] = match spec.name {
            "overview" => &[Place::Screen("overview"), Place::Prompt, Place::Help],
            name => &[Place::Screen(name)],
        };
        for place in places {
            for binding in keymap::bindings(*place) {
                for keys in binding.keys {
                    check(spec, *place, &binding, keys);
                    tested += 1;
                }
            }
        }
    }
    println!("{tested} keys");
    assert!(tested > 150, "{tested}");
}

fn check(spec: &'static screen::Spec, place: Place, binding: &Binding, keys: &str) {
    // Something that leads back, and a screen to come back to.
    let overview = screen::ALL[0];
    let size = if spec.name == "traces" { (120, 40) } else { (120, 24) };
    let mut driver = Driver::new(overview, fixture::args(overview.name), size, Theme::default(), fixture::shop);
    driver.press("j");
    if spec.name != overview.name || binding.action == Action::Back && matches!(place, Place::Screen(_)) {
        let name = if spec.name == overview.name { "logs" } else { spec.name };
        let id = fixture::args(name).id;
        driver.press(&format!(": \"{name} {id}\" Enter"));
    }
    for keys in before(place, binding.action).split(' ') {
        // How far a page goes is known once it was drawn.
        driver.frame();
        driver.press(keys);
    }
    let seen = |driver: &mut Driver| {
        let frame = driver.frame();
        (frame, driver.asked, driver.copied.len(), driver.state.depth(), driver.state.has_ended(), driver.state.place())
    };
    let was = seen(&mut driver);
    driver.press(keys);
    let is = seen(&mut driver);
    let to_itself = binding.action == Action::Go(driver.state.top().spec().name);
    assert!(was != is || to_itself, "{} {place:?} {keys}: {}", spec.name, binding.help);
}

#[test]
fn enter_and_esc_walk_a_stack_of_64() {
    let mut driver = Driver::new(screen::ALL[0], fixture::args("overview"), (120, 40), Theme::default(), fixture::shop);
    driver.press("j j g l");
    for _ in 0..200 {
        driver.press("g g g l");
    }
    assert_eq!(driver.state.depth(), 64);
    for _ in 0..64 {
        driver.press("Esc");
    }
    assert_eq!((driver.state.depth(), driver.state.top().spec().name), (1, "overview"));
}

#[test]
fn from_a_firing_alert_to_the_failing_span_and_its_log() {
    let mut driver = Driver::new(screen::ALL[0], fixture::args("overview"), (120, 40), Theme::default(), fixture::shop);
    // Tab: to the alerts. Enter: the trace of the alert's sample, at its span. j: the span's first log.
    driver.press("Tab Enter");
    let subject = driver.state.top().subject();
    assert_eq!((subject.trace.as_deref(), subject.span.as_deref()), (Some(fixture::TRACE), Some("00f067aa0ba902b7")));
    driver.press("j Enter");
    assert!(driver.text().contains("Record"), "{}", driver.text());
}

#[test]
fn late_answers_are_ignored() {
    use tui::effect::{Effect, Reply};
    use tui::event::{Answer, Event, Key};
    let mut driver = Driver::new(
        screen::spec("logs").expect("logs"),
        fixture::args("logs"),
        (120, 40),
        Theme::default(),
        fixture::empty,
    );
    let effects = tui::app::update(&mut driver.state, Event::Key(Key::Char('R')));
    let tickets: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Fetch { ticket, ask, .. } => Some((*ticket, ask.clone())),
            _ => None,
        })
        .collect();
    // Another question, answered at once; then the answers to the first come.
    driver.press("R");
    let before = driver.frame();
    for (ticket, ask) in tickets {
        let outcome = fixture::shop(&ask);
        assert!(!matches!(outcome, Ok(Reply::Status(_))));
        driver.happen(Event::Answer(Answer { ticket, outcome }));
    }
    assert_eq!(driver.frame(), before);
}
