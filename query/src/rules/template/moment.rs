//! Points in time as templates see them: printed the way Go prints a `time.Time` in UTC, with the methods that only read.

/// Milliseconds since the Unix epoch, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub i64);

struct Civil {
    year: i64,
    month: usize,
    day: i64,
    // Days since the Unix epoch.
    days: i64,
    second: i64,
    millis: i64,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Moment {
    /// As `fmt.Sprint` writes it.
    pub fn print(self) -> String {
        let civil = self.civil();
        let fraction = match civil.millis {
            0 => String::new(),
            millis => format!(".{millis:03}").trim_end_matches('0').to_owned(),
        };
        format!(
            "{} {:02}:{:02}:{:02}{fraction} +0000 UTC",
            date(&civil),
            civil.second / 3600,
            civil.second / 60 % 60,
            civil.second % 60
        )
    }

    /// A number or a name that a method without arguments gives; `None` if there is no such method here.
    pub fn part(self, method: &str) -> Option<super::value::Value> {
        use super::value::Value;
        let civil = self.civil();
        let number = match method {
            "Year" => civil.year,
            "Day" => civil.day,
            "Hour" => civil.second / 3600,
            "Minute" => civil.second / 60 % 60,
            "Second" => civil.second % 60,
            "Nanosecond" => civil.millis * 1_000_000,
            "YearDay" => civil.days - days_from_civil(civil.year, 1, 1) + 1,
            "Unix" => self.0.div_euclid(1000),
            "UnixMilli" => self.0,
            "Month" => return Some(Value::text(MONTHS[civil.month - 1])),
            "Weekday" => return Some(Value::text(weekday(&civil))),
            "UTC" => return Some(Value::Moment(self)),
            "String" => return Some(Value::text(self.print())),
            _ => return None,
        };
        Some(Value::Int(number))
    }

    /// As `Format` writes it, by the layout that shows how 2006-01-02 15:04:05 would be written.
    pub fn format(self, layout: &str) -> String {
        let civil = self.civil();
        let mut written = String::new();
        let mut rest = layout;
        while let Some(first) = rest.chars().next() {
            match PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
                Some((part, write)) => {
                    written.push_str(&write(&civil));
                    rest = &rest[part.len()..];
                }
                None => match fraction(rest) {
                    Some((digits, trims)) if written.ends_with(|c: char| c.is_ascii_digit()) => {
                        let all = format!("{:03}000000", civil.millis);
                        let mut shown = all[..digits.min(9)].to_owned();
                        if trims {
                            shown.truncate(shown.trim_end_matches('0').len());
                        }
                        if !shown.is_empty() {
                            written.push_str(&rest[..1]);
                            written.push_str(&shown);
                        }
                        rest = &rest[1 + digits..];
                    }
                    _ => {
                        written.push(first);
                        rest = &rest[first.len_utf8()..];
                    }
                },
            }
        }
        written
    }

    fn civil(self) -> Civil {
        let days = self.0.div_euclid(86_400_000);
        let millis = self.0.rem_euclid(86_400_000);
        let (year, month, day) = civil_from_days(days);
        Civil { year, month, day, days, second: millis / 1000, millis: millis % 1000 }
    }
}

// Longer ones first: the first that fits is taken.
type Part = (&'static str, fn(&Civil) -> String);
const PARTS: [Part; 29] = [
    ("January", |c| MONTHS[c.month - 1].to_owned()),
    ("Jan", |c| MONTHS[c.month - 1][..3].to_owned()),
    ("Monday", |c| weekday(c).to_owned()),
    ("Mon", |c| weekday(c)[..3].to_owned()),
    ("MST", |_| "UTC".to_owned()),
    ("2006", |c| format!("{:04}", c.year)),
    ("-07:00:00", |_| "+00:00:00".to_owned()),
    ("-07:00", |_| "+00:00".to_owned()),
    ("-0700", |_| "+0000".to_owned()),
    ("-07", |_| "+00".to_owned()),
    ("Z07:00", |_| "Z".to_owned()),
    ("Z0700", |_| "Z".to_owned()),
    ("Z07", |_| "Z".to_owned()),
    ("002", |c| format!("{:03}", c.days - days_from_civil(c.year, 1, 1) + 1)),
    ("01", |c| format!("{:02}", c.month)),
    ("02", |c| format!("{:02}", c.day)),
    ("03", |c| format!("{:02}", twelve(c))),
    ("04", |c| format!("{:02}", c.second / 60 % 60)),
    ("05", |c| format!("{:02}", c.second % 60)),
    ("06", |c| format!("{:02}", c.year.rem_euclid(100))),
    ("15", |c| format!("{:02}", c.second / 3600)),
    ("_2", |c| format!("{:2}", c.day)),
    ("PM", |c| if c.second >= 43_200 { "PM" } else { "AM" }.to_owned()),
    ("pm", |c| if c.second >= 43_200 { "pm" } else { "am" }.to_owned()),
    ("1", |c| c.month.to_string()),
    ("2", |c| c.day.to_string()),
    ("3", |c| twelve(c).to_string()),
    ("4", |c| (c.second / 60 % 60).to_string()),
    ("5", |c| (c.second % 60).to_string()),
];

// `.000` or `.999` (or with a comma) behind the seconds: how many digits, and whether zeros at their end go.
fn fraction(text: &str) -> Option<(usize, bool)> {
    let digits = text.strip_prefix(['.', ','])?;
    let first = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == first).count();
    let ends = !digits[count..].starts_with(|c: char| c.is_ascii_digit());
    ends.then_some((count, first == '9'))
}

fn twelve(civil: &Civil) -> i64 {
    match civil.second / 3600 % 12 {
        0 => 12,
        hour => hour,
    }
}

fn weekday(civil: &Civil) -> &'static str {
    // The epoch was a Thursday.
    WEEKDAYS[usize::try_from((civil.days + 4).rem_euclid(7)).unwrap_or(0)]
}

fn date(civil: &Civil) -> String {
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

// The Gregorian calendar by eras of 400 years that begin in March, when the leap day comes last.
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A duration as Go prints it: `1h0m0.5s`.
pub fn print_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    let decimals = |value: u64, unit: u64, digits: usize| {
        let fraction = format!("{:0digits$}", value % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}{point}{fraction}", value / unit)
    };
    match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimals(magnitude, 1_000, 3)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimals(magnitude, 1_000_000, 6)),
        _ => {
            const MINUTE: u64 = 60_000_000_000;
            let seconds = decimals(magnitude % MINUTE, 1_000_000_000, 9);
            let minutes = magnitude / MINUTE;
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_moments_and_durations_like_go() {
        assert_eq!(Moment(1_435_065_584_128).print(), "2015-06-23 13:19:44.128 +0000 UTC");
        assert_eq!(Moment(-1_500).print(), "1969-12-31 23:59:58.5 +0000 UTC");
        let moment = Moment(1_709_251_199_120);
        for (layout, expected) in [
            ("2006-01-02T15:04:05Z07:00", "2024-02-29T23:59:59Z"),
            ("Mon, 02 Jan 2006 15:04:05 MST", "Thu, 29 Feb 2024 23:59:59 UTC"),
            ("Monday January _2 3:04:05.000pm 06 -0700", "Thursday February 29 11:59:59.120pm 24 +0000"),
            ("15:04:05.999 1/2 002", "23:59:59.12 2/29 060"),
        ] {
            assert_eq!(moment.format(layout), expected);
        }
        for (nanos, expected) in [
            (0, "0s"),
            (90_000_000_000, "1m30s"),
            (3_600_500_000_000, "1h0m0.5s"),
            (1_500_000, "1.5ms"),
            (-1_500, "-1.5µs"),
            (7, "7ns"),
        ] {
            assert_eq!(print_duration(nanos), expected);
        }
    }
}
