//! Sums and means of many numbers without the rounding errors of adding them up plainly, bit for bit as Prometheus has them.

/// Neumaier's variant of Kahan's summation: the new sum, and what rounding has taken from it.
pub(super) fn compensated(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    let compensation = if total.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        compensation + ((sum - total) + value)
    } else {
        compensation + ((value - total) + sum)
    };
    (total, compensation)
}

/// A sum that grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    value: f64,
    compensation: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        (self.value, self.compensation) = compensated(value, self.value, self.compensation);
    }

    pub(super) fn total(self) -> f64 {
        // What is infinite has no remainder, and infinity minus infinity is not wanted.
        if self.value.is_infinite() { self.value } else { self.value + self.compensation }
    }
}

/// A mean that takes in one number after another: a sum over a count until the sum would overflow, a running mean from then on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    // The sum, or the mean once `is_mean` is set.
    value: f64,
    compensation: f64,
    is_mean: bool,
}

impl Mean {
    /// Takes in the number that is the `count`th, from 1.
    pub(super) fn add(&mut self, value: f64, count: f64) {
        if !self.is_mean {
            let (sum, compensation) = compensated(value, self.value, self.compensation);
            // An infinite number alone overflows nothing.
            if count == 1.0 || !sum.is_infinite() {
                (self.value, self.compensation) = (sum, compensation);
                return;
            }
            self.is_mean = true;
            self.value /= count - 1.0;
            self.compensation /= count - 1.0;
        }
        let share = (count - 1.0) / count;
        (self.value, self.compensation) = compensated(value / count, share * self.value, share * self.compensation);
    }

    /// The mean of the `count` numbers so far.
    pub(super) fn mean(self, count: f64) -> f64 {
        if self.is_mean { self.value + self.compensation } else { self.value / count + self.compensation / count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_means_keep_what_plain_addition_loses() {
        let sum = |values: &[f64]| {
            let mut sum = Sum::default();
            values.iter().for_each(|value| sum.add(*value));
            sum.total()
        };
        let mean = |values: &[f64]| {
            let mut mean = Mean::default();
            values.iter().zip(1..).for_each(|(value, count)| mean.add(*value, f64::from(count)));
            mean.mean(values.len() as f64)
        };
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum(&[1e308, 1e308]), f64::INFINITY);
        assert_eq!(mean(&[1.0, 1e100, 1.0, -1e100]), 0.5);
        assert_eq!(mean(&[1e308, 1e308, 1e308]), 1e308);
        assert_eq!(mean(&[f64::INFINITY, 0.0, f64::INFINITY]), f64::INFINITY);
        assert!(mean(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }
}
