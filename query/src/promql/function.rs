//! Functions over a range of samples. Each is a pure function of one window; a file holds those that share their arithmetic.

mod rate;

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

/// A function from a window to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeFunction {
    /// Growth of a counter per second.
    Rate,
    /// Growth of a counter.
    Increase,
    /// Growth of a gauge.
    Delta,
    /// Growth of a counter per second, from the last two samples.
    Irate,
    /// Growth of a gauge between the last two samples.
    Idelta,
}

impl RangeFunction {
    /// The function with this name, if it exists here.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => RangeFunction::Rate,
            "increase" => RangeFunction::Increase,
            "delta" => RangeFunction::Delta,
            "irate" => RangeFunction::Irate,
            "idelta" => RangeFunction::Idelta,
            _ => return None,
        })
    }

    /// The number for one window, `None` if the window has too few samples.
    pub fn apply(self, window: Window<'_>) -> Option<f64> {
        match self {
            RangeFunction::Rate => {
                let seconds = (window.end - window.start) as f64 / 1000.0;
                rate::extrapolated(window, rate::Counting::Counter, Some(seconds))
            }
            RangeFunction::Increase => rate::extrapolated(window, rate::Counting::Counter, None),
            RangeFunction::Delta => rate::extrapolated(window, rate::Counting::Gauge, None),
            RangeFunction::Irate => rate::instant(window, rate::Counting::Counter),
            RangeFunction::Idelta => rate::instant(window, rate::Counting::Gauge),
        }
    }

    /// Whether it makes sense of counters only, and says so when a name is not a counter's.
    pub fn expects_counter(self) -> bool {
        matches!(self, RangeFunction::Rate | RangeFunction::Increase)
    }
}
