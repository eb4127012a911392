//! The calendar: what date and time of day a number of seconds since 1970 is, in UTC.

const SECONDS_PER_DAY: i64 = 86_400;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: i64,
    /// From 1.
    month: i64,
    /// From 1.
    day: i64,
}

pub(super) fn year(seconds: f64) -> f64 {
    date(seconds).year as f64
}

pub(super) fn month(seconds: f64) -> f64 {
    date(seconds).month as f64
}

pub(super) fn day_of_month(seconds: f64) -> f64 {
    date(seconds).day as f64
}

/// From 1.
pub(super) fn day_of_year(seconds: f64) -> f64 {
    let first = days_since_1970(Date { month: 1, day: 1, ..date(seconds) });
    (days(seconds) - first + 1) as f64
}

/// From 0, a Sunday.
pub(super) fn day_of_week(seconds: f64) -> f64 {
    // 1970 began on a Thursday.
    (days(seconds) + 4).rem_euclid(7) as f64
}

pub(super) fn days_in_month(seconds: f64) -> f64 {
    let first = Date { day: 1, ..date(seconds) };
    let next = match first.month {
        12 => Date { year: first.year + 1, month: 1, ..first },
        month => Date { month: month + 1, ..first },
    };
    (days_since_1970(next) - days_since_1970(first)) as f64
}

pub(super) fn hour(seconds: f64) -> f64 {
    (whole(seconds).rem_euclid(SECONDS_PER_DAY) / 3_600) as f64
}

pub(super) fn minute(seconds: f64) -> f64 {
    (whole(seconds).rem_euclid(3_600) / 60) as f64
}

// Fractions are cut off; what is no number at all is 1970, what is out of range the end of the range.
fn whole(seconds: f64) -> i64 {
    seconds as i64
}

fn days(seconds: f64) -> i64 {
    whole(seconds).div_euclid(SECONDS_PER_DAY)
}

// Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is the last of its year, and 400 of them are an era.
fn date(seconds: f64) -> Date {
    let days = days(seconds) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    Date { year: era * 400 + year_of_era + i64::from(month <= 2), month, day }
}

fn days_since_1970(date: Date) -> i64 {
    let year = if date.month <= 2 { date.year - 1 } else { date.year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = if date.month > 2 { date.month - 3 } else { date.month + 9 };
    let day_of_year = (153 * month + 2) / 5 + date.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0.0, [1970, 1, 1, 1, 4, 31, 0, 0]),
            (-1.0, [1969, 12, 31, 365, 3, 31, 23, 59]),
            (1_136_239_445.0, [2006, 1, 2, 2, 1, 31, 22, 4]),
            (1_456_790_399.9, [2016, 2, 29, 60, 1, 29, 23, 59]),
            (1_483_191_420.0, [2016, 12, 31, 366, 6, 31, 13, 37]),
            (951_782_400.0, [2000, 2, 29, 60, 2, 29, 0, 0]),
            (4_107_542_400.0, [2100, 3, 1, 60, 1, 31, 0, 0]),
        ] {
            let got = [year, month, day_of_month, day_of_year, day_of_week, days_in_month, hour, minute]
                .map(|function| function(seconds) as i64);
            assert_eq!(got, expected, "{seconds}");
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in (-800_000..800_000).step_by(13) {
            assert_eq!(days_since_1970(date((day * SECONDS_PER_DAY) as f64)), day);
        }
        for seconds in [f64::NAN, f64::INFINITY, f64::MIN, f64::MAX] {
            assert!(day_of_year(seconds) >= 1.0 && days_in_month(seconds) >= 28.0);
        }
    }
}
