//! Axes: round numbers for values and for times, and where they stand. Pure arithmetic, nothing is drawn here.

use model::Timestamp;

use crate::dashboard::Unit;
use crate::sanitize::Safe;

/// Values beyond this are drawn at it: their differences would not be numbers any more.
const VALUE_MAX: f64 = 1e300;

/// An axis of values: from where to where, and what is written beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueAxis {
    /// The lower end.
    pub min: f64,
    /// The upper end.
    pub max: f64,
    /// Round numbers between the ends, ascending, with their texts.
    pub ticks: Vec<(f64, Safe)>,
}

impl ValueAxis {
    /// An axis that shows everything from `lowest` to `highest`, with about `count` ticks. What `fixed` names is left as it is.
    pub fn new(lowest: f64, highest: f64, fixed: (Option<f64>, Option<f64>), count: usize, unit: Unit) -> Self {
        let bound = |value: f64| value.clamp(-VALUE_MAX, VALUE_MAX);
        let (mut min, mut max) = (bound(lowest.min(highest)), bound(highest.max(lowest)));
        // Nothing is gained by looking close at what stays away from nothing a little.
        if min > 0.0 && min <= 0.6 * max {
            min = 0.0;
        }
        if max < 0.0 && max >= 0.6 * min {
            max = 0.0;
        }
        min = fixed.0.map_or(min, bound);
        max = fixed.1.map_or(max, bound);
        if max - min <= f64::EPSILON * max.abs().max(min.abs()) {
            let room = if max == 0.0 { 1.0 } else { (max * 0.1).abs() };
            if fixed.0.is_none() && min != 0.0 {
                min -= room;
            }
            max = max.max(min) + room;
        }
        let step = step((max - min) / count.max(1) as f64, unit.is_binary());
        if fixed.0.is_none() {
            min = (min / step).floor() * step;
        }
        if fixed.1.is_none() {
            max = (max / step).ceil() * step;
        }
        let first = (min / step).ceil();
        let values = (0..=count as u32 * 3 + 2).map(|at| (first + f64::from(at)) * step);
        let values: Vec<f64> = values.take_while(|value| *value <= max + step * 1e-6).collect();
        let texts = texts(&values, unit);
        Self { min, max, ticks: values.into_iter().zip(texts).collect() }
    }

    /// Where `value` stands: 0 at the lower end, 1 at the upper one; beyond them for what is not on the axis.
    pub fn share(&self, value: f64) -> f64 {
        (value.clamp(-VALUE_MAX, VALUE_MAX) - self.min) / (self.max - self.min)
    }
}

/// The least round number that is not below `least`.
fn step(least: f64, is_binary: bool) -> f64 {
    if is_binary && least >= 1.0 {
        return 2_f64.powf(least.log2().ceil());
    }
    if least <= 0.0 || !least.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor()).max(f64::MIN_POSITIVE);
    let of_power = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|round| round * power >= least * (1.0 - 1e-9));
    of_power.unwrap_or(10.0) * power
}

// Texts that differ where the numbers do.
fn texts(values: &[f64], unit: Unit) -> Vec<Safe> {
    let written = |decimals: Option<u8>| -> Vec<String> {
        values.iter().map(|value| without_zeros(unit.parts(*value, decimals))).collect()
    };
    let differ = |texts: &[String]| texts.windows(2).all(|pair| pair[0] != pair[1]);
    let more = (1..=6).map(|decimals| written(Some(decimals)));
    let texts = std::iter::once(written(None)).chain(more).find(|texts| differ(texts));
    texts.unwrap_or_else(|| written(None)).iter().map(|text| Safe::line(text)).collect()
}

fn without_zeros((number, suffix): (String, &'static str)) -> String {
    let is_fraction = number.contains('.') && !number.contains('e');
    let number = if is_fraction { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{suffix}")
}

/// Seconds between two ticks of a time axis, from the finest on.
const TIME_STEPS: [f64; 25] = [
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1_800.0,
    3_600.0,
    7_200.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    604_800.0,
    1_209_600.0,
    2_592_000.0,
    7_776_000.0,
    15_552_000.0,
    31_536_000.0,
];

/// Round times between `start` and `end` (Unix seconds), at most `count`, with their texts in UTC.
pub fn times(start: f64, end: f64, count: usize) -> Vec<(f64, Safe)> {
    let least = (end - start) / count.max(1) as f64;
    let Some(step) = TIME_STEPS.into_iter().find(|step| *step >= least) else { return Vec::new() };
    if !(start.is_finite() && end.is_finite() && end > start) {
        return Vec::new();
    }
    let first = (start / step).ceil();
    let seconds = (0..=count as u32).map(|at| (first + f64::from(at)) * step).take_while(|at| *at <= end);
    seconds.map(|at| (at, time_text(at, step))).collect()
}

/// The moment in UTC, as precise as steps of `step` seconds need it.
pub fn time_text(seconds: f64, step: f64) -> Safe {
    let text = timestamp(seconds).to_string();
    let part = match step {
        _ if step < 60.0 => text.get(11..19),
        _ if step < 86_400.0 => text.get(11..16),
        _ => text.get(5..10),
    };
    Safe::line(part.unwrap_or(&text))
}

/// The moment of so many Unix seconds.
pub fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1e3).clamp(-9e12, 9e12) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: &ValueAxis) -> String {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round() {
        for (lowest, highest, unit, expected) in [
            (0.0, 10.0, Unit::Short, "0 2.5 5 7.5 10"),
            (3.0, 97.0, Unit::Short, "0 25 50 75 100"),
            (990.0, 1010.0, Unit::Short, "990 995 1k 1.005k 1.01k"),
            (0.001, 0.043, Unit::Seconds, "0s 20ms 40ms 60ms"),
            (0.0, 0.07, Unit::Share, "0% 2% 4% 6% 8%"),
            (0.0, 3_000_000.0, Unit::Bytes, "0 B 1 MiB 2 MiB 3 MiB"),
            (5.0, 5.0, Unit::Short, "4.5 4.75 5 5.25 5.5"),
            (0.0, 0.0, Unit::Short, "0 0.25 0.5 0.75 1"),
            (-7.0, 3.0, Unit::Short, "-7.5 -5 -2.5 0 2.5 5"),
        ] {
            let axis = ValueAxis::new(lowest, highest, (None, None), 4, unit);
            assert_eq!(ticks(&axis), expected, "{lowest} {highest}");
            assert!(axis.min <= lowest && axis.max >= highest, "{axis:?}");
        }
    }

    #[test]
    fn fixed_ends_stay() {
        let axis = ValueAxis::new(3.0, 12.0, (Some(0.0), Some(15.0)), 3, Unit::Short);
        assert_eq!((axis.min, axis.max), (0.0, 15.0));
        assert_eq!(axis.share(7.5), 0.5);
    }

    #[test]
    fn no_numbers_break_an_axis() {
        let odd = [0.0, -0.0, 1.0, -1.0, 1e-320, 1e300, -1e300, f64::MAX, f64::MIN, f64::INFINITY, 1e-9, 1e16];
        for one in odd {
            for other in odd {
                for count in [0, 1, 4, 100] {
                    for unit in [Unit::Short, Unit::Bytes, Unit::Seconds] {
                        let axis = ValueAxis::new(one, other, (None, None), count, unit);
                        assert!(axis.min < axis.max && axis.share(one).is_finite(), "{one} {other} {axis:?}");
                        assert!(axis.ticks.len() <= count * 3 + 3);
                    }
                }
            }
        }
    }

    #[test]
    fn times_are_round() {
        let text = |start: f64, end: f64, count| {
            let times = times(start, end, count);
            times.iter().map(|(_, text)| text.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        };
        let at = 1_700_000_000.0;
        assert_eq!(text(at, at + 900.0, 5), "22:15 22:20 22:25");
        assert_eq!(text(at, at + 20.0, 5), "22:13:20 22:13:25 22:13:30 22:13:35 22:13:40");
        assert_eq!(text(at, at + 86_400.0 * 3.0, 4), "11-15 11-16 11-17");
        for (start, end) in [(0.0, 0.0), (5.0, 1.0), (f64::NAN, 1.0), (f64::MIN, f64::MAX), (0.0, 1e18)] {
            assert_eq!(text(start, end, 5), "");
        }
    }
}
