//! The little language of durations: `2 * (5m + step())`.

use crate::promql::plan::{Arithmetic, Duration, Side};

/// How deep brackets may nest: each costs stack.
const DEPTH_MAX: usize = 50;

/// What stands between the brackets of a range or a subquery: how far back, and of a subquery the distance of its steps if it says so.
/// `None` if it is something else.
pub(super) fn bracket(text: &str) -> Option<(Duration, Option<Option<Duration>>)> {
    let mut reader = Reader { rest: text, depth: 0 };
    let range = reader.sum()?;
    let mut step = None;
    if reader.symbol(":") {
        step = Some(None);
        if !reader.is_done() {
            step = Some(Some(reader.sum()?));
        }
    }
    reader.is_done().then_some((range, step))
}

/// What stands behind `offset`, and how long it is: a number, a call or something in brackets, with a sign or without.
pub(super) fn signed(text: &str) -> Option<(Duration, usize)> {
    let mut reader = Reader { rest: text, depth: 0 };
    let duration = if reader.symbol("-") {
        Duration::Negate(Box::new(reader.primary()?))
    } else {
        reader.symbol("+");
        reader.primary()?
    };
    Some((duration, text.len() - reader.rest.len()))
}

struct Reader<'q> {
    rest: &'q str,
    depth: usize,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.find('\n').map_or("", |end| &comment[end..]),
                None => return,
            }
        }
    }

    fn is_done(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty()
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Option<Duration> {
        let mut left = self.product()?;
        loop {
            let operator = if self.symbol("+") {
                Arithmetic::Add
            } else if self.symbol("-") {
                Arithmetic::Subtract
            } else {
                return Some(left);
            };
            left = Duration::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Option<Duration> {
        let mut left = self.sign()?;
        loop {
            let operator = if self.symbol("*") {
                Arithmetic::Multiply
            } else if self.symbol("/") {
                Arithmetic::Divide
            } else if self.symbol("%") {
                Arithmetic::Modulo
            } else {
                return Some(left);
            };
            left = Duration::Binary(operator, Box::new(left), Box::new(self.sign()?));
        }
    }

    // A sign binds less than a power: `-2 ^ 2` is `-4`.
    fn sign(&mut self) -> Option<Duration> {
        if self.symbol("-") {
            return self.deeper(|reader| Some(Duration::Negate(Box::new(reader.sign()?))));
        }
        self.symbol("+");
        self.power()
    }

    fn power(&mut self) -> Option<Duration> {
        let base = self.primary()?;
        if !self.symbol("^") {
            return Some(base);
        }
        let exponent = self.deeper(Self::sign)?;
        Some(Duration::Binary(Arithmetic::Power, Box::new(base), Box::new(exponent)))
    }

    fn primary(&mut self) -> Option<Duration> {
        if self.symbol("(") {
            let inner = self.deeper(Self::sum)?;
            return self.symbol(")").then_some(inner);
        }
        self.skip_blanks();
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return literal(word);
        }
        let word = word.to_ascii_lowercase();
        if !self.symbol("(") {
            return None;
        }
        let side = match word.as_str() {
            "step" => return self.symbol(")").then_some(Duration::Step),
            "range" => return self.symbol(")").then_some(Duration::Range),
            "min" | "min_of" => Side::Least,
            "max" | "max_of" => Side::Greatest,
            _ => return None,
        };
        let left = self.deeper(Self::sum)?;
        if !self.symbol(",") {
            return None;
        }
        let right = self.deeper(Self::sum)?;
        self.symbol(")").then_some(Duration::Extreme(side, Box::new(left), Box::new(right)))
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Option<Duration>) -> Option<Duration> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }
}

fn literal(word: &str) -> Option<Duration> {
    let digits = word.replace('_', "");
    if let Ok(seconds) = digits.parse::<f64>() {
        return Some(Duration::Seconds(seconds));
    }
    let nanos = model::time::parse_duration(word)?;
    Some(Duration::Seconds(nanos as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::value::Steps;

    #[test]
    fn durations_are_computed() {
        let steps = Steps::range(0, 60_000, 5_000).expect("some steps");
        for (text, expected) in [
            ("30m", Some(1_800_000)),
            ("24m+((1.5*2m)+2m)", Some(1_740_000)),
            ("-5m+35m", Some(1_800_000)),
            ("1h30m % 1h", Some(1_800_000)),
            ("30m1s-30m1s % 1m", Some(1_800_000)),
            ("(-2 ^ 2)", Some(-4_000)),
            ("2 ^ 3 ^ 2", Some(512_000)),
            ("1+(STep()-5)*2", Some(1_000)),
            ("max(step(), range() / 10, )", None),
            ("max(step(), range() / 10)", Some(6_000)),
            ("min_of(7s, 1m) # seconds", Some(7_000)),
            ("1_000ms", None),
            ("1_0", Some(10_000)),
            ("5m 5m", None),
            ("5m +", None),
            ("foo()", None),
            ("", None),
        ] {
            let got = bracket(text).and_then(|(range, _)| range.millis(&steps).ok());
            assert_eq!(got, expected, "{text}");
        }
        assert!(bracket("1 / 0").is_some_and(|(range, _)| range.millis(&steps) == Err("division by zero".to_owned())));
        assert!(bracket(&"(".repeat(100_000)).is_none() && bracket(&"-".repeat(100_000)).is_none());
    }

    #[test]
    fn subqueries_may_have_a_step() {
        assert_eq!(bracket("5:"), Some((Duration::Seconds(5.0), Some(None))));
        assert_eq!(bracket("5 : step()"), Some((Duration::Seconds(5.0), Some(Some(Duration::Step)))));
        assert_eq!(signed(" -(5) + 3"), Some((Duration::Negate(Box::new(Duration::Seconds(5.0))), 5)));
    }
}
