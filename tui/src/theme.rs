//! Colours and symbols. Colour never says anything alone: severity and state have a letter or a sign beside it, so that
//! `mono` (also for NO_COLOR) and `--ascii` lose nothing.

use ratatui::style::{Color, Modifier, Style};

/// The sets of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// For a dark background.
    #[default]
    Dark,
    /// For a light background.
    Light,
    /// Bold, dim, underline and reverse only.
    Mono,
}

impl Palette {
    /// Every palette, in the order the key goes through them.
    pub const ALL: [Palette; 3] = [Palette::Dark, Palette::Light, Palette::Mono];

    /// The palette's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
        }
    }

    /// The palette of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|palette| palette.name() == name)
    }

    /// The one after this.
    pub fn next(self) -> Self {
        match self {
            Self::Dark => Self::Light,
            Self::Light => Self::Mono,
            Self::Mono => Self::Dark,
        }
    }
}

/// What a text is, which decides how it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    #[default]
    Text,
    /// Less important: times, units, borders, hints.
    Faint,
    /// Headings and what one should see first.
    Strong,
    /// Names of fields, keys that can be pressed.
    Key,
    /// Something went well.
    Good,
    /// Something to look at.
    Warning,
    /// Something went wrong.
    Bad,
    /// The row under the cursor.
    Selected,
    /// What was searched for.
    Hit,
    /// Header and status line.
    Chrome,
}

/// A palette and a set of symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// The colours.
    pub palette: Palette,
    /// ASCII symbols only.
    pub ascii: bool,
}

impl Theme {
    /// The look of `role`.
    pub fn style(self, role: Role) -> Style {
        let style = Style::new();
        if self.palette == Palette::Mono {
            return match role {
                Role::Text | Role::Good => style,
                Role::Faint => style.add_modifier(Modifier::DIM),
                Role::Strong | Role::Key | Role::Warning => style.add_modifier(Modifier::BOLD),
                Role::Bad => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
                Role::Selected | Role::Hit => style.add_modifier(Modifier::REVERSED),
                Role::Chrome => style.add_modifier(Modifier::BOLD),
            };
        }
        let light = self.palette == Palette::Light;
        let pick = |dark, bright| if light { bright } else { dark };
        match role {
            Role::Text => style,
            Role::Faint => style.fg(pick(Color::Indexed(245), Color::Indexed(242))),
            Role::Strong => style.add_modifier(Modifier::BOLD),
            Role::Key => style.fg(pick(Color::Indexed(75), Color::Indexed(25))),
            Role::Good => style.fg(pick(Color::Indexed(78), Color::Indexed(28))),
            Role::Warning => style.fg(pick(Color::Indexed(214), Color::Indexed(130))),
            Role::Bad => style.fg(pick(Color::Indexed(203), Color::Indexed(160))).add_modifier(Modifier::BOLD),
            Role::Selected => style.bg(pick(Color::Indexed(237), Color::Indexed(253))).add_modifier(Modifier::BOLD),
            Role::Hit => style.fg(Color::Indexed(16)).bg(Color::Indexed(220)),
            Role::Chrome => style.fg(pick(Color::Indexed(153), Color::Indexed(24))).add_modifier(Modifier::BOLD),
        }
    }

    /// The look of series number `index` of a chart: colours that the colour-blind can tell apart (Okabe and Ito's), repeated.
    pub fn series(self, index: usize) -> Style {
        const DARK: [u8; 7] = [214, 75, 36, 227, 33, 202, 175];
        const LIGHT: [u8; 7] = [172, 31, 29, 142, 25, 166, 132];
        match self.palette {
            Palette::Mono => Style::new(),
            Palette::Dark => Style::new().fg(Color::Indexed(DARK[index % DARK.len()])),
            Palette::Light => Style::new().fg(Color::Indexed(LIGHT[index % LIGHT.len()])),
        }
    }

    /// The symbols in force.
    pub fn symbols(self) -> &'static Symbols {
        if self.ascii { &ASCII } else { &UNICODE }
    }

    /// Letter and role of a log record's severity word; `-` for none.
    pub fn severity(word: Option<&str>) -> (&'static str, Role) {
        match word {
            Some("fatal") => ("F", Role::Bad),
            Some("error") => ("E", Role::Bad),
            Some("warn") => ("W", Role::Warning),
            Some("info") => ("I", Role::Good),
            Some("debug") => ("D", Role::Faint),
            Some("trace") => ("T", Role::Faint),
            _ => ("-", Role::Faint),
        }
    }

    /// Sign and role of a span's status word.
    pub fn status(word: &str) -> (&'static str, Role) {
        match word {
            "error" => ("!", Role::Bad),
            "ok" => ("+", Role::Good),
            _ => (" ", Role::Text),
        }
    }

    /// Word and role of an alert's state.
    pub fn alert(state: &str) -> (&'static str, Role) {
        match state {
            "firing" => ("FIRING", Role::Bad),
            "pending" => ("PENDING", Role::Warning),
            "inactive" => ("inactive", Role::Faint),
            _ => ("?", Role::Faint),
        }
    }
}

/// What is drawn where letters would not do.
#[derive(Debug, PartialEq, Eq)]
pub struct Symbols {
    /// Between crumbs.
    pub crumb: &'static str,
    /// A horizontal line.
    pub horizontal: &'static str,
    /// A vertical line.
    pub vertical: &'static str,
    /// Corners: top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
    /// The row under the cursor.
    pub cursor: &'static str,
    /// Something that is folded, and something that is unfolded.
    pub fold: [&'static str; 2],
    /// From nothing to full in eight steps, drawn from the bottom.
    pub levels: [&'static str; 9],
    /// A full piece of a horizontal bar, its left half, its right half, and no bar.
    pub bar: [&'static str; 4],
    /// Something was cut.
    pub ellipsis: &'static str,
    /// Alive.
    pub dot: &'static str,
    /// Branches of a tree: a child, the last child.
    pub branch: [&'static str; 2],
    /// A range's middle.
    pub dash: &'static str,
    /// Between things of one line.
    pub separator: &'static str,
    /// Sorted by this column, downwards.
    pub down: &'static str,
    /// Marks a place in the line above.
    pub caret: &'static str,
}

static UNICODE: Symbols = Symbols {
    crumb: " ▸ ",
    horizontal: "─",
    vertical: "│",
    corners: ["┌", "┐", "└", "┘"],
    cursor: "▌",
    fold: ["▸", "▾"],
    levels: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    bar: ["█", "▌", "▐", "·"],
    ellipsis: "…",
    dot: "●",
    branch: ["├", "└"],
    dash: "–",
    separator: " · ",
    down: "▾",
    caret: "^",
};

static ASCII: Symbols = Symbols {
    crumb: " > ",
    horizontal: "-",
    vertical: "|",
    corners: ["+", "+", "+", "+"],
    cursor: ">",
    fold: ["+", "-"],
    levels: [" ", "_", ".", ":", "-", "=", "+", "*", "#"],
    bar: ["#", "#", "#", "."],
    ellipsis: "~",
    dot: "*",
    branch: ["|", "`"],
    dash: "-",
    separator: " | ",
    down: "v",
    caret: "^",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_symbols_are_ascii() {
        let Symbols {
            crumb,
            horizontal,
            vertical,
            corners,
            cursor,
            fold,
            levels,
            bar,
            ellipsis,
            dot,
            branch,
            dash,
            ..
        } = &ASCII;
        let mut all = vec![*crumb, *horizontal, *vertical, *cursor, *ellipsis, *dot, *dash];
        all.extend(corners.iter().chain(fold).chain(levels).chain(bar).chain(branch));
        assert!(all.iter().all(|symbol| symbol.is_ascii()), "{all:?}");
    }

    #[test]
    fn mono_has_no_colour() {
        let mono = Theme { palette: Palette::Mono, ascii: false };
        for role in
            [Role::Text, Role::Faint, Role::Strong, Role::Key, Role::Good, Role::Warning, Role::Bad, Role::Selected]
        {
            let style = mono.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
        assert_eq!(mono.series(3).fg, None);
    }
}
