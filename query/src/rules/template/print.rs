//! Go's `fmt`: `Sprint`, `Sprintln` and `Sprintf` over template values, with its forms for what does not fit.

use super::float::{self, Shape};
use super::limits::OUTPUT_BYTES_MAX;
use super::quote::{is_print, quote, quote_ascii, quote_char};
use super::value::Value;

/// `fmt.Sprint`: a space between two values of which neither is a text.
pub fn sprint(values: &[Value]) -> String {
    let mut printer = Printer::default();
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !value.is_textual() && !values[index - 1].is_textual() {
            printer.out.push(' ');
        }
        printer.argument(value, 'v');
    }
    printer.out
}

/// As an action prints its value and `html` its arguments: pointers are followed, nothing is `<no value>`.
pub fn printed(values: &[Value]) -> String {
    let mut printer = Printer { follows: true, ..Printer::default() };
    let textual = |value: &Value| value.is_textual() || matches!(value, Value::Nothing);
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !textual(value) && !textual(&values[index - 1]) {
            printer.out.push(' ');
        }
        match value {
            Value::Nothing => printer.out.push_str("<no value>"),
            value => printer.argument(value, 'v'),
        }
    }
    printer.out
}

/// `fmt.Sprintln`: always a space between two, and a line's end.
pub fn sprintln(values: &[Value]) -> String {
    let mut printer = Printer::default();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.out.push(' ');
        }
        printer.argument(value, 'v');
    }
    printer.out.push('\n');
    printer.out
}

/// `fmt.Sprintf`. It stops growing where it has become too long for any template; the caller refuses it then.
pub fn sprintf(format: &str, values: &[Value]) -> String {
    let mut run =
        Run { rest: format, values, next: 0, reordered: false, good_index: true, printer: Printer::default() };
    while let Some(start) = run.rest.find('%') {
        run.printer.out.push_str(&run.rest[..start]);
        run.rest = &run.rest[start + 1..];
        run.directive();
        if run.printer.out.len() > OUTPUT_BYTES_MAX {
            return run.printer.out;
        }
    }
    run.printer.out.push_str(run.rest);
    run.extra();
    run.printer.out
}

// One run over a format.
struct Run<'a> {
    rest: &'a str,
    values: &'a [Value],
    next: usize,
    // Whether the current directive, then any of them, named its value by number.
    reordered: bool,
    good_index: bool,
    printer: Printer,
}

impl Run<'_> {
    fn directive(&mut self) {
        self.printer.flags = Flags::default();
        self.good_index = true;
        self.flags();
        let mut indexed = self.index();
        if let Some(rest) = self.rest.strip_prefix('*') {
            self.rest = rest;
            match self.star() {
                Some(width) => {
                    self.printer.flags.minus |= width < 0;
                    self.printer.flags.zero &= width >= 0;
                    self.printer.flags.width = Some(usize::try_from(width.unsigned_abs()).unwrap_or(0));
                }
                None => self.printer.out.push_str("%!(BADWIDTH)"),
            }
            indexed = false;
        } else {
            self.printer.flags.width = self.number();
            if indexed && self.printer.flags.width.is_some() {
                self.good_index = false;
            }
        }
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            self.good_index &= !indexed;
            indexed = self.index();
            if let Some(rest) = self.rest.strip_prefix('*') {
                self.rest = rest;
                match self.star() {
                    Some(precision) if precision >= 0 => {
                        self.printer.flags.precision = usize::try_from(precision).ok();
                    }
                    _ => self.printer.out.push_str("%!(BADPREC)"),
                }
                indexed = false;
            } else {
                self.printer.flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !indexed {
            self.index();
        }
        let Some(verb) = self.rest.chars().next() else {
            self.printer.out.push_str("%!(NOVERB)");
            return;
        };
        self.rest = &self.rest[verb.len_utf8()..];
        self.verb(verb);
    }

    fn verb(&mut self, verb: char) {
        if verb == '%' {
            self.printer.out.push('%');
            return;
        }
        let value = match self.values.get(self.next) {
            _ if !self.good_index => Err("BADINDEX"),
            None => Err("MISSING"),
            Some(value) => Ok(value),
        };
        match value {
            Err(reason) => self.printer.out.push_str(&format!("%!{verb}({reason})")),
            Ok(value) => {
                if verb == 'v' {
                    let flags = &mut self.printer.flags;
                    (flags.sharp_v, flags.sharp) = (flags.sharp, false);
                    (flags.plus_v, flags.plus) = (flags.plus, false);
                }
                self.next += 1;
                self.printer.argument(value, verb);
            }
        }
    }

    fn flags(&mut self) {
        let flags = &mut self.printer.flags;
        while let Some(c) = self.rest.chars().next() {
            match c {
                '#' => flags.sharp = true,
                // Zeros are only put on the left.
                '0' => flags.zero = !flags.minus,
                '+' => flags.plus = true,
                '-' => (flags.minus, flags.zero) = (true, false),
                ' ' => flags.space = true,
                _ => return,
            }
            self.rest = &self.rest[1..];
        }
    }

    // `[3]`: the value to take next.
    fn index(&mut self) -> bool {
        let Some(inside) = self.rest.strip_prefix('[') else { return false };
        self.reordered = true;
        let Some(end) = inside.find(']') else {
            self.good_index = false;
            self.rest = inside;
            return false;
        };
        let number = inside[..end].parse::<usize>().ok().filter(|number| (1..=self.values.len()).contains(number));
        self.rest = &inside[end + 1..];
        match number {
            Some(number) => self.next = number - 1,
            None => self.good_index = false,
        }
        number.is_some()
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(number) if number.abs() <= 1_000_000 => Some(*number),
            Value::Byte(number) => Some(i64::from(*number)),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        // Go takes no number beyond ten millions.
        number.parse().ok().filter(|number| *number <= 10_000_009)
    }

    fn extra(&mut self) {
        if self.reordered || self.next >= self.values.len() {
            return;
        }
        self.printer.flags = Flags::default();
        self.printer.out.push_str("%!(EXTRA ");
        for (index, value) in self.values[self.next..].iter().enumerate() {
            if index > 0 {
                self.printer.out.push_str(", ");
            }
            if matches!(value, Value::Nothing) {
                self.printer.out.push_str("<nil>");
            } else {
                self.printer.out.push_str(value.type_name());
                self.printer.out.push('=');
                self.printer.argument(value, 'v');
            }
        }
        self.printer.out.push(')');
    }
}

#[derive(Clone, Copy, Default)]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    // `%+v` and `%#v`.
    plus_v: bool,
    sharp_v: bool,
}

#[derive(Default)]
struct Printer {
    out: String,
    flags: Flags,
    // Whether what a pointer points to is printed without the sign of a pointer.
    follows: bool,
}

impl Printer {
    fn argument(&mut self, value: &Value, verb: char) {
        match (verb, value) {
            ('T' | 'v', Value::Nothing) => self.pad("<nil>"),
            ('T', _) => self.text(value.type_name()),
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if self.out.len() > OUTPUT_BYTES_MAX {
            return;
        }
        match value {
            Value::Nothing if depth > 0 => self.pad(if self.flags.sharp_v { "interface {}(nil)" } else { "<nil>" }),
            Value::Nothing => self.bad_verb(value, verb),
            Value::Bool(known) => match verb {
                't' | 'v' => self.pad(if *known { "true" } else { "false" }),
                _ => self.bad_verb(value, verb),
            },
            Value::Int(number) => self.integer(value, i128::from(*number), verb),
            Value::Byte(number) if self.flags.sharp_v && verb == 'v' => self.pad(&format!("{number:#x}")),
            Value::Byte(number) => self.integer(value, i128::from(*number), verb),
            Value::Float(number) => self.float(value, *number, verb),
            Value::Text(text) | Value::Html(text) => match verb {
                'v' if self.flags.sharp_v => self.quoted(text),
                'v' | 's' => self.text(text),
                'x' | 'X' => self.hexadecimal(text, verb),
                'q' => self.quoted(text),
                _ => self.bad_verb(value, verb),
            },
            Value::Moment(_) | Value::Duration(_) => self.stringer(value, verb),
            Value::Map(map) => {
                let entries = map.iter().map(|(name, text)| (name.as_str(), Value::text(text.as_str())));
                self.map(value, entries, verb, depth);
            }
            Value::Args(args) => {
                let entries = args.entries.iter().map(|(name, value)| (name.as_str(), value.clone()));
                self.map(value, entries, verb, depth);
            }
            Value::Vector(samples) => {
                self.list(value, samples.iter().map(|sample| Value::Sample(Some(sample.clone()))), verb, depth);
            }
            Value::Records(records) => self.list(value, records.iter().map(|r| Value::Map(r.clone())), verb, depth),
            Value::Sample(None) if verb == 'v' => self.pad("<nil>"),
            Value::Sample(None) => self.bad_verb(value, verb),
            // Go prints the address of what it points to when it stands in a list; the content says more.
            Value::Sample(Some(sample)) => {
                if !self.follows {
                    self.out.push('&');
                }
                self.structure("template.sample", &sample.fields(), verb, depth);
            }
            Value::Root(root) => self.structure(value.type_name(), &root.fields(), verb, depth),
        }
    }

    fn map<'v>(&mut self, value: &Value, entries: impl Iterator<Item = (&'v str, Value)>, verb: char, depth: usize) {
        let (open, between, close) = if self.flags.sharp_v { ("{", ", ", "}") } else { ("[", " ", "]") };
        self.out.push_str(if self.flags.sharp_v { value.type_name() } else { "map" });
        self.out.push_str(open);
        for (index, (name, inner)) in entries.enumerate() {
            self.out.push_str(if index > 0 { between } else { "" });
            self.value(&Value::text(name), verb, depth + 1);
            self.out.push(':');
            self.value(&inner, verb, depth + 1);
        }
        self.out.push_str(close);
    }

    fn list(&mut self, value: &Value, items: impl Iterator<Item = Value>, verb: char, depth: usize) {
        let (open, between, close) = if self.flags.sharp_v { ("{", ", ", "}") } else { ("[", " ", "]") };
        self.out.push_str(if self.flags.sharp_v { value.type_name() } else { "" });
        self.out.push_str(open);
        for (index, item) in items.enumerate() {
            self.out.push_str(if index > 0 { between } else { "" });
            self.value(&item, verb, depth + 1);
        }
        self.out.push_str(close);
    }

    fn structure(&mut self, name: &str, fields: &[(&str, Value)], verb: char, depth: usize) {
        let sharp = self.flags.sharp_v;
        self.out.push_str(if sharp { name } else { "" });
        self.out.push('{');
        for (index, (field, value)) in fields.iter().enumerate() {
            self.out.push_str(match (index, sharp) {
                (0, _) => "",
                (_, true) => ", ",
                (_, false) => " ",
            });
            if sharp || self.flags.plus_v {
                self.out.push_str(field);
                self.out.push(':');
            }
            self.value(value, verb, depth + 1);
        }
        self.out.push('}');
    }

    fn stringer(&mut self, value: &Value, verb: char) {
        let text = match value {
            Value::Moment(moment) => moment.print(),
            Value::Duration(nanos) => super::moment::print_duration(*nanos),
            _ => String::new(),
        };
        match verb {
            'v' | 's' => self.text(&text),
            'x' | 'X' => self.hexadecimal(&text, verb),
            'q' => self.quoted(&text),
            _ => self.bad_verb(value, verb),
        }
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push('(');
        if matches!(value, Value::Nothing) {
            self.out.push_str("<nil>");
        } else {
            self.out.push_str(value.type_name());
            self.out.push('=');
            self.argument(value, 'v');
        }
        self.out.push(')');
    }

    // Characters are counted, not bytes and not columns.
    fn pad(&mut self, text: &str) {
        let padding = self.flags.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.flags.minus {
            self.out.push_str(text);
            self.padding(padding, ' ');
        } else {
            self.padding(padding, if self.flags.zero { '0' } else { ' ' });
            self.out.push_str(text);
        }
    }

    fn padding(&mut self, count: usize, with: char) {
        self.out.extend(std::iter::repeat_n(with, count.min(OUTPUT_BYTES_MAX + 1)));
    }

    fn truncated<'t>(&self, text: &'t str) -> &'t str {
        let end = self.flags.precision.and_then(|precision| text.char_indices().nth(precision));
        end.map_or(text, |(at, _)| &text[..at])
    }

    fn text(&mut self, text: &str) {
        let text = self.truncated(text);
        self.pad(text);
    }

    fn quoted(&mut self, text: &str) {
        let text = self.truncated(text);
        let plain = |c: char| c != '`' && c != '\u{feff}' && c != '\u{7f}' && (c >= ' ' || c == '\t');
        let quoted = if self.flags.sharp && text.chars().all(plain) {
            format!("`{text}`")
        } else if self.flags.plus {
            quote_ascii(text)
        } else {
            quote(text)
        };
        self.pad(&quoted);
    }

    fn hexadecimal(&mut self, text: &str, verb: char) {
        let bytes = &text.as_bytes()[..self.flags.precision.unwrap_or(text.len()).min(text.len())];
        let prefix = match (self.flags.sharp, verb) {
            (false, _) => "",
            (true, 'X') => "0X",
            (true, _) => "0x",
        };
        let byte = |byte: &u8| if verb == 'X' { format!("{byte:02X}") } else { format!("{byte:02x}") };
        let written = if self.flags.space {
            bytes.iter().map(|b| format!("{prefix}{}", byte(b))).collect::<Vec<_>>().join(" ")
        } else if bytes.is_empty() {
            String::new()
        } else {
            format!("{prefix}{}", bytes.iter().map(byte).collect::<String>())
        };
        self.pad(&written);
    }

    fn integer(&mut self, value: &Value, number: i128, verb: char) {
        let radix = match verb {
            'd' | 'v' => 10,
            'b' => 2,
            'o' | 'O' => 8,
            'x' | 'X' => 16,
            'c' | 'q' => {
                let c = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                return self.pad(&if verb == 'c' { c.to_string() } else { quote_char(c, self.flags.plus) });
            }
            'U' => return self.code_point(number),
            _ => return self.bad_verb(value, verb),
        };
        self.radix(number, radix, verb);
    }

    fn code_point(&mut self, number: i128) {
        // Go takes the bits of a negative number.
        let bits = number as u64;
        let digits = self.flags.precision.unwrap_or(0).max(4);
        let mut written = format!("U+{bits:0digits$X}");
        let c = u32::try_from(bits).ok().and_then(char::from_u32);
        if let Some(c) = c.filter(|c| self.flags.sharp && is_print(*c)) {
            written.push_str(&format!(" '{c}'"));
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(&written);
        self.flags.zero = zero;
    }

    fn radix(&mut self, number: i128, radix: u32, verb: char) {
        let flags = self.flags;
        let without_zeros = |printer: &mut Self, text: &str| {
            printer.flags.zero = false;
            printer.pad(text);
            printer.flags.zero = flags.zero;
        };
        let least = match (flags.precision, flags.width) {
            (Some(0), _) if number == 0 => return without_zeros(self, ""),
            (Some(precision), _) => precision,
            // The sign takes one of the places.
            (None, Some(width)) if flags.zero => {
                width.saturating_sub(usize::from(number < 0 || flags.plus || flags.space))
            }
            _ => 0,
        };
        let magnitude = number.unsigned_abs();
        let digits = match (radix, verb) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, 'X') => format!("{magnitude:X}"),
            (16, _) => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let zeros = least.saturating_sub(digits.len()).min(OUTPUT_BYTES_MAX + 1);
        let digits = "0".repeat(zeros) + &digits;
        let prefix = match (radix, verb) {
            (8, 'O') => "0o",
            _ if !flags.sharp => "",
            (2, _) => "0b",
            (8, _) if !digits.starts_with('0') => "0",
            (16, 'X') => "0X",
            (16, _) => "0x",
            _ => "",
        };
        let sign = match number {
            ..0 => "-",
            _ if flags.plus => "+",
            _ if flags.space => " ",
            _ => "",
        };
        without_zeros(self, &format!("{sign}{prefix}{digits}"));
    }

    fn float(&mut self, value: &Value, number: f64, verb: char) {
        let (shape, usual) = match verb {
            'v' | 'g' | 'G' => (Shape::General, None),
            'e' | 'E' => (Shape::Exponent, Some(6)),
            'f' | 'F' => (Shape::Fixed, Some(6)),
            'x' | 'X' | 'b' => (Shape::General, None),
            _ => return self.bad_verb(value, verb),
        };
        let precision = self.flags.precision.or(usual);
        let mut written = match verb {
            'x' | 'X' => float::hexadecimal(number, precision),
            'b' => float::binary(number),
            _ => float::format(number, shape, precision),
        };
        if self.flags.sharp && number.is_finite() && verb != 'b' {
            // Only some verbs are filled up to a number of digits.
            let digits = if matches!(verb, 'e' | 'E' | 'f' | 'F') { 0 } else { precision.unwrap_or(6) };
            written = with_point(&written, digits);
        }
        if verb.is_ascii_uppercase() && number.is_finite() {
            written.make_ascii_uppercase();
        }
        self.signed(number, &written);
    }

    fn signed(&mut self, number: f64, written: &str) {
        let flags = self.flags;
        let (sign, digits) = match written.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("+", written.strip_prefix('+').unwrap_or(written)),
        };
        let sign = match sign {
            "+" if flags.plus => "+",
            "+" if flags.space => " ",
            // An infinite number always has a sign.
            "+" if !number.is_infinite() => "",
            sign => sign,
        };
        if !number.is_finite() {
            self.flags.zero = false;
            self.pad(&format!("{sign}{digits}"));
        } else if flags.zero && !sign.is_empty() && flags.width.is_some_and(|width| width > digits.len() + 1) {
            self.out.push_str(sign);
            let padding = flags.width.unwrap_or(0) - digits.len() - 1;
            self.padding(padding, '0');
            self.out.push_str(digits);
        } else {
            self.pad(&format!("{sign}{digits}"));
        }
        self.flags = flags;
    }
}

// `#` keeps the point, and `%#g` the zeros behind it, so that there are as many digits as were asked for.
fn with_point(written: &str, digits: usize) -> String {
    let end = if written.contains('x') { 'p' } else { 'e' };
    let (mantissa, exponent) = written.find(end).map_or((written, ""), |at| written.split_at(at));
    let unsigned = mantissa.trim_start_matches('-');
    let shown = unsigned.chars().filter(|c| *c != '.').collect::<String>();
    let shown = shown.trim_start_matches('0').len();
    // A single zero counts as a digit.
    let shown = shown.max(usize::from(unsigned == "0"));
    let point = if mantissa.contains('.') { "" } else { "." };
    format!("{mantissa}{point}{}{exponent}", "0".repeat(digits.saturating_sub(shown).min(OUTPUT_BYTES_MAX)))
}
