//! `sextant tui`: the dashboard; or one of its screens, once, for scripts.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use model::{Clock, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tui::app::Start;
use tui::effect::TroubleKind;
use tui::fetch::Sources;
use tui::limits::{SILENCE_MAX, SIZE_MAX, SIZE_MIN};
use tui::runtime::once::{once, plain};
use tui::runtime::picture::svg;
use tui::runtime::{Keyboard, moment, run as run_dashboard};
use tui::screen::{self, Spec};
use tui::session::Range;
use tui::terminal::{Surface as _, Terminal};
use tui::theme::{Palette, Theme};
use tui::{Client, sanitize};

use super::client_with;
use crate::cli::DEFAULT_URL;
use crate::report::{Exit, Failure, Outcome};

/// Which server to watch, and how.
#[derive(Debug, Args)]
pub struct TuiArgs {
    /// The server to ask.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL, env = "SEXTANT_URL", hide_env_values = true)]
    url: String,
    /// A file whose first line is sent as bearer token.
    #[arg(long, value_name = "FILE", env = "SEXTANT_TOKEN_FILE", hide_env_values = true)]
    token_file: Option<std::path::PathBuf>,
    /// The screen to begin with.
    #[arg(long, value_name = "NAME", default_value = "overview")]
    screen: String,
    /// What the screen is about: a filter, a trace id, a correlation id.
    #[arg(long, value_name = "TEXT")]
    argument: Option<String>,
    /// A directory of boards of your own; ~/.config/sextant/dashboards if it is there.
    #[arg(long, value_name = "DIR", env = "SEXTANT_DASHBOARDS", hide_env_values = true)]
    dashboards: Option<std::path::PathBuf>,
    /// The time to look at: 2h, or 14:00..14:30.
    #[arg(long, value_name = "RANGE", default_value = "15m")]
    range: String,
    /// Print the screen once instead of drawing it.
    #[arg(long)]
    once: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Plain, requires = "once")]
    format: Format,
    /// Columns and rows of what is printed.
    #[arg(long, value_name = "COLUMNSxROWS", default_value = "120x40", requires = "once", value_parser = size)]
    size: (u16, u16),
    /// ASCII only: no lines, blocks and dots from beyond.
    #[arg(long)]
    ascii: bool,
    /// Colours; mono if NO_COLOR is set.
    #[arg(long, value_enum)]
    theme: Option<Colours>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// The screen as text.
    Plain,
    /// What the screen shows, for programs.
    Json,
    /// The screen as a picture, for documents.
    Svg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Colours {
    /// For a dark background.
    Dark,
    /// For a light background.
    Light,
    /// Bold, dim and reverse only.
    Mono,
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let parts = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    match parts {
        Some((width, height))
            if (SIZE_MIN.0..=SIZE_MAX.0).contains(&width) && (SIZE_MIN.1..=SIZE_MAX.1).contains(&height) =>
        {
            Ok((width, height))
        }
        _ => Err(format!("write it like 120x40, from {}x{} to {}x{}", SIZE_MIN.0, SIZE_MIN.1, SIZE_MAX.0, SIZE_MAX.1)),
    }
}

impl TuiArgs {
    fn spec(&self) -> Result<&'static Spec, Failure> {
        let names = || screen::ALL.iter().map(|spec| spec.name);
        let spec = screen::spec(&self.screen).ok_or_else(|| {
            let error = anyhow!("there is no screen {:?}", self.screen);
            Failure::wrong_use(error).with_hint(Some(format!("screens: {}", names().collect::<Vec<_>>().join(", "))))
        })?;
        if spec.needs_argument && self.argument.as_deref().is_none_or(|argument| argument.trim().is_empty()) {
            let error = anyhow!("the screen {} needs to know what to show", spec.name);
            return Err(Failure::wrong_use(error).with_hint(Some(format!("add --argument {}", spec.argument))));
        }
        Ok(spec)
    }

    // The server, and whatever directory the boards lie in.
    fn sources(&self, client: Client) -> Sources {
        let configured = || {
            let home = || Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".config"));
            let config = std::env::var_os("XDG_CONFIG_HOME").map(std::path::PathBuf::from).or_else(home)?;
            Some(config.join("sextant/dashboards")).filter(|directory| directory.is_dir())
        };
        Sources::new(client, self.dashboards.clone().or_else(configured))
    }

    fn theme(&self) -> Theme {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let palette = match self.theme {
            _ if no_colour => Palette::Mono,
            Some(Colours::Dark) | None => Palette::Dark,
            Some(Colours::Light) => Palette::Light,
            Some(Colours::Mono) => Palette::Mono,
        };
        Theme { palette, ascii: self.ascii }
    }

    fn start(&self, clock: &dyn Clock, client: &Client, size: (u16, u16)) -> Result<Start, Failure> {
        let range = Range::parse(&self.range, clock.now())
            .map_err(|mistake| Failure::wrong_use(anyhow!("--range: {mistake}")))?;
        let args = self.argument.as_deref().map(screen::Args::typed).unwrap_or_default();
        let now = moment(clock);
        Ok(Start {
            now,
            size,
            theme: self.theme(),
            url: client.url().to_string(),
            // Only spreads the waits before a lost server is asked again.
            seed: now.wall.as_nanos().unsigned_abs(),
            range,
            screen: self.spec()?,
            args,
        })
    }
}

/// Runs the dashboard, or prints one screen.
pub fn run(args: TuiArgs) -> Outcome {
    let client = client_with(&args.url, args.token_file.as_deref(), SILENCE_MAX)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // Two threads: answers are parsed beside the frames.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    if args.once {
        return runtime.block_on(print(&args, &client, clock.as_ref()));
    }
    args.spec()?;
    if !std::io::stdout().is_terminal() {
        let error = anyhow!("stdout is no terminal, there is nothing to draw on");
        return Err(Failure::wrong_use(error).with_hint(Some("--once --format plain (or json) prints one screen")));
    }
    let outcome = runtime.block_on(draw(&args, client, clock));
    // The keyboard's thread may wait for a key; nothing waits for it.
    runtime.shutdown_background();
    outcome
}

async fn print(args: &TuiArgs, client: &Client, clock: &dyn Clock) -> Outcome {
    let start = args.start(clock, client, args.size)?;
    let mut state = match once(args.sources(client.clone()), start).await {
        Ok(state) => state,
        Err(trouble) if trouble.kind == TroubleKind::Lost => {
            return Err(Failure::unavailable(anyhow!("{}", trouble.sentence))
                .with_hint(trouble.hint.map(|hint| hint.to_string())));
        }
        Err(trouble) => return Err(Failure::wrong_use(anyhow!("{}", trouble.sentence))),
    };
    let text = match args.format {
        Format::Plain => plain(&mut state, args.size),
        Format::Svg => svg(&mut state, args.theme().palette, args.size),
        Format::Json => {
            let json = serde_json::to_string(&state.top().json()).context("cannot write the screen as JSON")?;
            format!("{}\n", sanitize::json(&json))
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Done)
}

async fn draw(args: &TuiArgs, client: Client, clock: Arc<dyn Clock>) -> Outcome {
    // Raw mode makes Ctrl-C a key; these come from elsewhere.
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .context("cannot catch signals")?;
    let stop = async move {
        if let [interrupt, terminate, hangup] = signals.as_mut_slice() {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
    };
    let mut terminal = Terminal::take().context("cannot take the terminal over")?;
    let size = terminal.size().context("cannot measure the terminal")?;
    let start = args.start(clock.as_ref(), &client, size)?;
    let (keyboard, inputs) = Keyboard::read().context("cannot read the keyboard")?;
    let outcome = run_dashboard(args.sources(client), clock, start, &mut terminal, inputs, stop).await;
    drop(keyboard);
    drop(terminal);
    outcome.map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(size("120x40"), Ok((120, 40)));
        for text in ["", "120", "x", "59x18", "60x17", "1001x40", "99999999x1", "-1x40"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
