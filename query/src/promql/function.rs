//! Functions over a range of samples and of single numbers. Each is a pure function; a file holds those that share their
//! arithmetic.

pub mod buckets;
mod calendar;
mod element;
pub mod extended;
mod extremes;
mod moments;
mod native;
mod rate;
mod remark;
mod trend;

pub use element::{ElementFunction, greater, lesser};
pub use extremes::quantile;
pub use remark::{During, Remark, Remarks};

use std::sync::Arc;

use super::histogram::Histogram;
use super::value::Element;

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
    /// Times of the histograms, ascending.
    pub histogram_times: &'a [i64],
    /// The histograms.
    pub histograms: &'a [Arc<Histogram>],
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
    /// The number for one window without histograms, `None` if the window has too few samples.
    pub apply: fn(Window<'_>, Arguments<'_>) -> Option<f64>,
    /// What there is for a window with histograms, and perhaps numbers too. Without it they are left out.
    pub apply_to_histograms: Option<fn(Window<'_>, &mut Remarks) -> Option<Element>>,
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
    RangeFunction {
        name,
        apply,
        apply_to_histograms: None,
        range_argument: 0,
        numbers: Numbers::Any,
        expects_counter: false,
        keeps_name: false,
    }
}

const fn of_both(
    name: &'static str,
    apply: fn(Window<'_>, Arguments<'_>) -> Option<f64>,
    histograms: fn(Window<'_>, &mut Remarks) -> Option<Element>,
) -> RangeFunction {
    RangeFunction { apply_to_histograms: Some(histograms), ..plain(name, apply) }
}

const fn of_counters(
    name: &'static str,
    apply: fn(Window<'_>, Arguments<'_>) -> Option<f64>,
    histograms: fn(Window<'_>, &mut Remarks) -> Option<Element>,
) -> RangeFunction {
    RangeFunction { expects_counter: true, ..of_both(name, apply, histograms) }
}

const fn keeping_name(
    name: &'static str,
    apply: fn(Window<'_>, Arguments<'_>) -> Option<f64>,
    histograms: fn(Window<'_>, &mut Remarks) -> Option<Element>,
) -> RangeFunction {
    RangeFunction { keeps_name: true, ..of_both(name, apply, histograms) }
}

const fn smoothing(name: &'static str) -> RangeFunction {
    RangeFunction { numbers: Numbers::Factors, ..plain(name, trend::smoothed) }
}

static RANGE_FUNCTIONS: [RangeFunction; 27] = [
    of_counters("rate", rate::rate, rate::histogram_rate),
    of_counters("increase", rate::increase, rate::histogram_increase),
    of_both("delta", rate::delta, rate::histogram_delta),
    of_both("irate", rate::irate, rate::histogram_irate),
    of_both("idelta", rate::idelta, rate::histogram_idelta),
    of_both("changes", rate::changes, native::changes),
    of_both("resets", rate::resets, native::resets),
    plain("deriv", trend::deriv),
    plain("predict_linear", trend::predict_linear),
    smoothing("double_exponential_smoothing"),
    // Its name until Prometheus 3.
    smoothing("holt_winters"),
    of_both("sum_over_time", moments::sum, native::sum),
    of_both("avg_over_time", moments::avg, native::avg),
    of_both("count_over_time", moments::count, |window, _| Some(Element::Number(window.len() as f64))),
    plain("stddev_over_time", moments::stddev),
    plain("stdvar_over_time", moments::stdvar),
    of_both("present_over_time", |_, _| Some(1.0), |_, _| Some(Element::Number(1.0))),
    plain("min_over_time", extremes::min),
    plain("max_over_time", extremes::max),
    plain("mad_over_time", extremes::mad),
    plain("ts_of_min_over_time", extremes::time_of_min),
    plain("ts_of_max_over_time", extremes::time_of_max),
    of_both("ts_of_first_over_time", |window, _| seconds(window.times.first()), native::time_of_first),
    of_both("ts_of_last_over_time", |window, _| seconds(window.times.last()), native::time_of_last),
    keeping_name("first_over_time", |window, _| window.values.first().copied(), native::first),
    keeping_name("last_over_time", |window, _| window.values.last().copied(), native::last),
    RangeFunction {
        range_argument: 1,
        numbers: Numbers::Quantile,
        ..plain("quantile_over_time", extremes::quantile_of)
    },
];

fn seconds(millis: Option<&i64>) -> Option<f64> {
    millis.map(|millis| *millis as f64 / 1000.0)
}

/// The function over a range with this name, if it exists here.
pub fn range_function(name: &str) -> Option<&'static RangeFunction> {
    RANGE_FUNCTIONS.iter().find(|function| function.name == name)
}

impl Window<'_> {
    /// How many samples there are, of both kinds.
    pub fn len(&self) -> usize {
        self.times.len() + self.histogram_times.len()
    }

    /// Whether there are both numbers and histograms.
    pub fn is_mixed(&self) -> bool {
        !self.times.is_empty() && !self.histogram_times.is_empty()
    }
}

impl RangeFunction {
    /// What there is for one window.
    pub fn of(&self, window: Window<'_>, arguments: Arguments<'_>, remarks: &mut Remarks) -> Option<Element> {
        if !window.histograms.is_empty() {
            if let Some(apply) = self.apply_to_histograms {
                return apply(window, remarks);
            }
            if window.times.is_empty() {
                return None;
            }
            remarks.note(Remark::IgnoredInRange);
        }
        (self.apply)(window, arguments).map(Element::Number)
    }

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
