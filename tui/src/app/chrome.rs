//! What is around every screen: the header with breadcrumbs, time and state, the banner of a lost server, the status line, and the
//! card of a terminal that is too small.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::{State, draw_screen, overlay};
use crate::format;
use crate::limits::SIZE_MIN;
use crate::sanitize::Safe;
use crate::session::Range;
use crate::theme::Role;
use crate::widget::{Piece, line_of, panel, put, put_pieces};

/// Draws everything.
pub(super) fn draw(state: &mut State, buffer: &mut Buffer, area: Rect) {
    if area.width < SIZE_MIN.0 || area.height < SIZE_MIN.1 {
        return card(state, buffer, area);
    }
    header(state, buffer, line_of(area, 0));
    let banner = state.session.link.is_lost();
    if banner {
        draw_banner(state, buffer, line_of(area, 1));
    }
    let top = 1 + u16::from(banner);
    let body = Rect { y: area.y + top, height: area.height - top - 1, ..area };
    draw_screen(state, buffer, body);
    status(state, buffer, line_of(area, area.height - 1));
    overlay::draw(state, buffer, area);
}

fn header(state: &State, buffer: &mut Buffer, line: Rect) {
    let theme = state.session.theme;
    let symbols = theme.symbols();
    buffer.set_style(line, theme.style(Role::Chrome));
    let mut right = Vec::new();
    let window = state.range().resolve(state.session.now.wall);
    // The same day is not said twice; a range that moves with the time is told by its length alone.
    if state.top().is_timeless() {
        // Shown by its id, of any time.
    } else if let Range::Fixed(_) = state.range() {
        let same_day = window.start.day() == window.end.day();
        let end = if same_day { format::clock(window.end) } else { format::date(window.end) };
        let range = Safe::of(format_args!("{}{}{end} UTC ", format::date(window.start), symbols.dash));
        right.push(Piece::new(range, Role::Chrome));
    } else {
        right.push(Piece::new(state.range().label(), Role::Chrome));
        right.push(" ".into());
    }
    if state.session.link.is_lost() {
        right.push(Piece::new(Safe::of(format_args!(" {} DISCONNECTED", symbols.dot)), Role::Bad));
    } else if let Some((word, role)) = state.top().badge() {
        right.push(Piece::new(Safe::of(format_args!(" {} {word}", symbols.dot)), role));
    }
    right.push(" ".into());
    let wide: usize = right.iter().map(|piece| piece.text.width()).sum();
    let wide = u16::try_from(wide).unwrap_or(u16::MAX).min(line.width);
    let left = line.width - wide;
    crumbs(state, buffer, Rect { width: left.saturating_sub(1), ..line });
    put_pieces(buffer, (line.x + left, line.y), wide, &right, theme);
}

// The newest crumbs, as many as fit.
fn crumbs(state: &State, buffer: &mut Buffer, line: Rect) {
    let theme = state.session.theme;
    let (symbols, style) = (theme.symbols(), theme.style(Role::Chrome));
    let mut crumbs: Vec<Safe> = state.views.iter().map(|view| view.screen.crumb().truncated(48)).collect();
    crumbs.insert(0, Safe::from_static("sextant"));
    let width =
        |crumbs: &[Safe]| crumbs.iter().map(|crumb| crumb.width() + symbols.crumb.chars().count()).sum::<usize>();
    let mut left_out = false;
    while crumbs.len() > 2 && width(&crumbs) + 4 > usize::from(line.width) {
        crumbs.remove(1);
        left_out = true;
    }
    let mut x = line.x + 1;
    for (index, crumb) in crumbs.iter().enumerate() {
        let room = line.right().saturating_sub(x);
        if index > 0 {
            x += put(buffer, (x, line.y), room, symbols.crumb, theme.style(Role::Faint));
        }
        if index == 1 && left_out {
            x += put(buffer, (x, line.y), line.right().saturating_sub(x), symbols.ellipsis, theme.style(Role::Faint));
            x += put(buffer, (x, line.y), line.right().saturating_sub(x), symbols.crumb, theme.style(Role::Faint));
        }
        x += put(buffer, (x, line.y), line.right().saturating_sub(x), crumb, style);
    }
}

fn draw_banner(state: &State, buffer: &mut Buffer, line: Rect) {
    let (session, theme) = (&state.session, state.session.theme);
    let Some(since) = session.link.lost_since else { return };
    let passed = format::stopwatch(session.now.monotonic.saturating_sub(since));
    let dash = theme.symbols().dash;
    let data = match session.link.heard {
        Some(heard) => Safe::of(format_args!("data as of {}", format::clock(heard))),
        None => Safe::of(format_args!("no server at {}", session.url)),
    };
    let again = session.link.next_try.saturating_sub(session.now.monotonic).as_secs();
    let again = if again == 0 {
        Safe::from_static("trying again")
    } else {
        Safe::of(format_args!("trying again in {again} s"))
    };
    let text = Safe::of(format_args!(" DISCONNECTED {passed} {dash} {data} {dash} {again}"));
    let style = theme.style(Role::Bad).add_modifier(Modifier::REVERSED);
    buffer.set_style(line, style);
    put(buffer, (line.x, line.y), line.width, &text, style);
}

fn status(state: &State, buffer: &mut Buffer, line: Rect) {
    let theme = state.session.theme;
    let mut right = Vec::new();
    if let Some(key) = state.pending {
        right.push(Piece::new(Safe::of(format_args!("{} ", key.name())), Role::Key));
    }
    let filters = state.top().filter().is_some();
    for (key, word) in [("?", " help  "), (":", " command  "), ("/", " filter  "), ("t", " time ")] {
        if key != "/" || filters {
            right.push(Piece::new(key, Role::Key));
            right.push(Piece::new(word, Role::Faint));
        }
    }
    let wide: usize = right.iter().map(|piece| piece.text.width()).sum();
    let wide = u16::try_from(wide).unwrap_or(u16::MAX).min(line.width);
    let left = line.width - wide;
    let (text, role) = match &state.note {
        Some((text, role, _)) => (text.clone(), *role),
        None => (state.session.url.clone(), Role::Faint),
    };
    put(buffer, (line.x + 1, line.y), left.saturating_sub(2), &text, theme.style(role));
    put_pieces(buffer, (line.x + left, line.y), wide, &right, theme);
}

fn card(state: &State, buffer: &mut Buffer, area: Rect) {
    let theme = state.session.theme;
    let (width, height) = SIZE_MIN;
    let lines = [
        Safe::from_static("sextant: the terminal is too small"),
        Safe::of(format_args!("{}x{}, at least {width}x{height} is needed", area.width, area.height)),
        Safe::from_static("q quits"),
    ];
    let middle = panel::centred(area, 36, 3);
    for (line, text) in (0u16..).zip(&lines) {
        let place = line_of(middle, line);
        let role = if line == 0 { Role::Strong } else { Role::Faint };
        if !place.is_empty() {
            put(buffer, (place.x, place.y), place.width, text, theme.style(role));
        }
    }
}
