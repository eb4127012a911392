//! Functions over a range of samples and of single numbers. Each is a pure function; a file holds those that share their
//! arithmetic.

pub mod buckets;
mod calendar;
mod element;
mod extremes;
mod moments;
mod rate;
mod trend;

pub use element::ElementFunction;
pub use extremes::quantile;

/// Samples of one series in `(start, end]`, staleness markers left out.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// When the window begins; a sample at this very time is not in it.
    pub start: i64,
    /// When the window ends.
    pub end: i64,
    /// Times of the samples, ascending.
    pub times: &'a [i64],
    /// Values of the samples.
    pub values: &'a [f64],
}

/// What a function is called with beside the samples.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// The time of the step, which an offset does not move.
    pub at: i64,
    /// The numbers, in the order in which they are written.
    pub numbers: &'a [f64],
}

/// A function from a window to a number.
#[derive(Debug)]
pub struct RangeFunction {
    /// Its name.
    pub name: &'static str,
    /// The number for one window, `None` if the window has too few samples.
    pub apply: fn(Window<'_>, Arguments<'_>) -> Option<f64>,
    /// Which of its arguments is the range.
    pub range_argument: usize,
    /// What its other arguments are.
    pub numbers: Numbers,
    /// Whether it makes sense of counters only, and says so when a name is not a counter's.
    pub expects_counter: bool,
    /// Whether its result bears the name of the series.
    pub keeps_name: bool,
}

/// What the numbers are that a function is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// There are none, or any will do.
    Any,
    /// A share, between 0 and 1.
    Quantile,
    /// Two factors, between 0 and 1 but neither of them.
    Factors,
}

const fn plain(name: &'static str, apply: fn(Window<'_>, Arguments<'_>) -> Option<f64>) -> RangeFunction {
    RangeFunction { name, apply, range_argument: 0, numbers: Numbers::Any, expects_counter: false, keeps_name: false }
}

const fn of_counters(name: &'static str, apply: fn(Window<'_>, Arguments<'_>) -> Option<f64>) -> RangeFunction {
    RangeFunction { expects_counter: true, ..plain(name, apply) }
}

const fn keeping_name(name: &'static str, apply: fn(Window<'_>, Arguments<'_>) -> Option<f64>) -> RangeFunction {
    RangeFunction { keeps_name: true, ..plain(name, apply) }
}

const fn smoothing(name: &'static str) -> RangeFunction {
    RangeFunction { numbers: Numbers::Factors, ..plain(name, trend::smoothed) }
}

static RANGE_FUNCTIONS: [RangeFunction; 23] = [
    of_counters("rate", rate::rate),
    of_counters("increase", rate::increase),
    plain("delta", rate::delta),
    plain("irate", rate::irate),
    plain("idelta", rate::idelta),
    plain("changes", rate::changes),
    plain("resets", rate::resets),
    plain("deriv", trend::deriv),
    plain("predict_linear", trend::predict_linear),
    smoothing("double_exponential_smoothing"),
    // Its name until Prometheus 3.
    smoothing("holt_winters"),
    plain("sum_over_time", moments::sum),
    plain("avg_over_time", moments::avg),
    plain("count_over_time", moments::count),
    plain("stddev_over_time", moments::stddev),
    plain("stdvar_over_time", moments::stdvar),
    plain("present_over_time", |_, _| Some(1.0)),
    plain("min_over_time", extremes::min),
    plain("max_over_time", extremes::max),
    plain("mad_over_time", extremes::mad),
    keeping_name("first_over_time", |window, _| window.values.first().copied()),
    keeping_name("last_over_time", |window, _| window.values.last().copied()),
    RangeFunction {
        range_argument: 1,
        numbers: Numbers::Quantile,
        ..plain("quantile_over_time", extremes::quantile_of)
    },
];

/// The function over a range with this name, if it exists here.
pub fn range_function(name: &str) -> Option<&'static RangeFunction> {
    RANGE_FUNCTIONS.iter().find(|function| function.name == name)
}

impl RangeFunction {
    /// Whether it can be called with these numbers; if not, why.
    pub fn check(&self, numbers: &[f64]) -> Result<(), String> {
        let (Numbers::Factors, [smoothing, trend]) = (self.numbers, numbers) else { return Ok(()) };
        for (factor, name, short) in [(*smoothing, "smoothing", "sf"), (*trend, "trend", "tf")] {
            // Written so that NaN is refused too, as everything is that is not between.
            if !(factor > 0.0 && factor < 1.0) {
                return Err(format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}"));
            }
        }
        Ok(())
    }
}
