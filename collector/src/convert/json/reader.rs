//! A pull parser of JSON with the scalars of protobuf's JSON mapping. It knows the grammar and no message.
//!
//! It counts bytes only; the path to a place is found again when somebody has to be told ([`super::place`]).

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::number;
use crate::{Warning, limits};

/// What is wrong, and at which byte.
#[derive(Debug)]
pub(in crate::convert) struct Fault {
    pub offset: usize,
    pub what: String,
}

pub(in crate::convert) type Read<T> = Result<T, Fault>;

/// How often something was met, and at which byte first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    pub count: u64,
    pub first: usize,
}

/// Stands before the next thing to read. After a fault it must not be used any more.
#[derive(Debug)]
pub(in crate::convert) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    hints: Vec<(Warning, Hint)>,
}

/// What stands where a 64-bit integer should.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whole {
    /// An integer.
    Int(i64),
    /// A whole number beyond, which its writer had as a double.
    Double(f64),
}

/// An object that is being read.
#[derive(Debug)]
pub(super) struct Object {
    first: bool,
    key_at: usize,
    // Which of the message's keys were met.
    seen: u64,
}

// Both alphabets, padded or not, as protobuf's JSON mapping wants; some writers leave bits after the end.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, hints: Vec::new() }
    }

    /// What was read in another way than it was written.
    pub(super) fn hints(&self) -> impl Iterator<Item = (Warning, Hint)> {
        self.hints.iter().copied()
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("something follows the end of the request")),
        }
    }

    /// Enters an object.
    pub(super) fn object(&mut self) -> Read<Object> {
        self.enter(b'{', "an object")?;
        Ok(Object { first: true, key_at: self.at, seen: 0 })
    }

    /// The next key of an object; what stands behind it must be read before the next call.
    pub(super) fn key(&mut self, object: &mut Object) -> Read<Option<Cow<'a, str>>> {
        if !self.next_of(b'}', object.first)? {
            return Ok(None);
        }
        object.first = false;
        if self.peek() != Some(b'"') {
            return Err(self.fault("a key in quotes should be here"));
        }
        object.key_at = self.at;
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.fault("a colon should be here"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Takes note of a key that was met, by its bit among the message's keys.
    pub(super) fn met(&mut self, object: &mut Object, bit: u64) {
        if object.seen & bit != 0 {
            self.hint(Warning::RepeatedKey, object.key_at);
        }
        object.seen |= bit;
    }

    /// Skips the value of a key that the message does not have.
    pub(super) fn unknown(&mut self, object: &Object, key: &str, known: &[&str]) -> Read<()> {
        if key.contains('_') && known.contains(&camel_case(key).as_str()) {
            self.hint(Warning::SnakeCaseKey, object.key_at);
        }
        self.skip()
    }

    /// A list; null is the empty one.
    pub(super) fn list<T>(&mut self, element: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        self.nullable_list(|reader| {
            if reader.peek() == Some(b'n') {
                return Err(reader.fault("null cannot be an element here"));
            }
            element(reader)
        })
    }

    /// A list whose elements may be null.
    pub(super) fn nullable_list<T>(&mut self, element: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut elements = Vec::new();
        if self.null()? {
            return Ok(elements);
        }
        self.enter(b'[', "a list")?;
        while self.next_of(b']', elements.is_empty())? {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// `None` for null.
    pub(super) fn optional<T>(&mut self, value: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.null()? { Ok(None) } else { value(self).map(Some) }
    }

    /// One of several fields of which a message has one: the last counts, and null is none.
    pub(super) fn choice<T, V>(
        &mut self,
        chosen: &mut Option<V>,
        variant: fn(T) -> V,
        value: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<()> {
        self.peek();
        let start = self.at;
        if let Some(value) = self.optional(value)? {
            if chosen.is_some() {
                self.hint(Warning::RepeatedKey, start);
            }
            *chosen = Some(variant(value));
        }
        Ok(())
    }

    /// Any text.
    pub(super) fn text(&mut self) -> Read<String> {
        Ok(self.quoted("a text")?.map(|(_, text)| text.into_owned()).unwrap_or_default())
    }

    /// Bytes in hex, as ids are written.
    pub(super) fn hex(&mut self) -> Read<Vec<u8>> {
        let Some((start, text)) = self.quoted("an id in hex")? else { return Ok(Vec::new()) };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let bytes = text.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>();
        bytes.ok_or_else(|| at(start, format!("{} is not hex: ids are pairs of 0-9 and a-f, not base64", echo(&text))))
    }

    /// Bytes in base64, of either alphabet, padded or not.
    pub(super) fn base64(&mut self) -> Read<Vec<u8>> {
        let Some((start, text)) = self.quoted("bytes in base64")? else { return Ok(Vec::new()) };
        let engine = if text.contains(['-', '_']) { &BASE64_URL } else { &BASE64 };
        engine.decode(text.as_bytes()).map_err(|error| at(start, format!("{} is not base64: {error}", echo(&text))))
    }

    /// True or false.
    pub(super) fn bool(&mut self) -> Read<bool> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            Some(b'n') => self.word("null").map(|()| false),
            _ => Err(self.fault("true or false should be here")),
        }
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.integer("an unsigned 64-bit integer")
    }

    /// A 64-bit integer where a double may stand too. A writer that has doubles only takes a whole one for an integer, however
    /// large it is; refusing the request would lose its other items, and the number is known.
    pub(super) fn whole(&mut self) -> Read<Whole> {
        let wanted = "a 64-bit integer";
        let Some((start, text, quoted)) = self.number_or_text(wanted)? else { return Ok(Whole::Int(0)) };
        if let Some(int) = number::integer(&text).and_then(|number| i64::try_from(number).ok()) {
            return Ok(Whole::Int(int));
        }
        match number::whole_double(&text) {
            Some(double) if !quoted => {
                self.hint(Warning::IntegerAsDouble, start);
                Ok(Whole::Double(double))
            }
            _ => Err(at(start, format!("{} is not {wanted}", echo(&text)))),
        }
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.integer("an unsigned 32-bit integer")
    }

    pub(super) fn i32(&mut self) -> Read<i32> {
        self.integer("a 32-bit integer")
    }

    /// A double, as a number or as text.
    pub(super) fn double(&mut self) -> Read<f64> {
        let Some((start, text, quoted)) = self.number_or_text("a number")? else { return Ok(0.0) };
        let value = match &*text {
            "NaN" if quoted => Some(f64::NAN),
            "Infinity" if quoted => Some(f64::INFINITY),
            "-Infinity" if quoted => Some(f64::NEG_INFINITY),
            text => number::double(text),
        };
        value.ok_or_else(|| at(start, format!("{} is not a double", echo(&text))))
    }

    /// The number of an enumeration's value; its name is read too, with a warning.
    pub(super) fn enumeration(&mut self, number_of: fn(&str) -> Option<i32>) -> Read<i32> {
        let Some((start, text, quoted)) = self.number_or_text("the number of a value")? else { return Ok(0) };
        if let Some(number) = number::integer(&text).and_then(|number| i32::try_from(number).ok()) {
            return Ok(number);
        }
        match number_of(&text) {
            Some(number) if quoted => {
                self.hint(Warning::EnumName, start);
                Ok(number)
            }
            _ => Err(at(start, format!("{} is no value of this enumeration", echo(&text)))),
        }
    }

    /// Reads any value and keeps nothing of it.
    pub(super) fn skip(&mut self) -> Read<()> {
        match self.peek() {
            Some(b'{') => {
                let mut object = self.object()?;
                while self.key(&mut object)?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
            Some(b'[') => {
                self.enter(b'[', "a list")?;
                let mut first = true;
                while self.next_of(b']', first)? {
                    first = false;
                    self.skip()?;
                }
                Ok(())
            }
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.number().map(drop),
        }
    }

    /// The next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += blank;
        rest.get(blank).copied()
    }

    /// Whether there is another element before `end`; steps over the comma or the end.
    pub(super) fn next_of(&mut self, end: u8, first: bool) -> Read<bool> {
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                match self.peek() {
                    Some(byte) if byte == end => Err(self.fault("nothing follows the comma")),
                    _ => Ok(true),
                }
            }
            None => Err(self.fault("the text ends too early")),
            Some(_) => Err(self.fault(&format!("a comma or {} should be here", char::from(end)))),
        }
    }

    /// Steps into an object or a list.
    pub(super) fn enter(&mut self, open: u8, wanted: &str) -> Read<()> {
        if self.peek() != Some(open) {
            return Err(self.wanted(wanted));
        }
        if self.depth == limits::JSON_DEPTH_MAX {
            return Err(self.fault(&format!("nested deeper than {} objects and lists", limits::JSON_DEPTH_MAX)));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn integer<T: TryFrom<i128> + Default>(&mut self, wanted: &str) -> Read<T> {
        let Some((start, text, _)) = self.number_or_text(wanted)? else { return Ok(T::default()) };
        let number = number::integer(&text).and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| at(start, format!("{} is not {wanted}", echo(&text))))
    }

    // Where it begins, what it says, and whether in quotes; `None` for null.
    fn number_or_text(&mut self, wanted: &str) -> Read<Option<(usize, Cow<'a, str>, bool)>> {
        if matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            let start = self.at;
            return Ok(Some((start, Cow::Borrowed(self.number()?), false)));
        }
        Ok(self.quoted(wanted)?.map(|(start, text)| (start, text, true)))
    }

    // Where it begins, and what it says; `None` for null.
    fn quoted(&mut self, wanted: &str) -> Read<Option<(usize, Cow<'a, str>)>> {
        match self.peek() {
            Some(b'"') => {
                let start = self.at;
                Ok(Some((start, self.string()?)))
            }
            Some(b'n') => self.word("null").map(|()| None),
            _ => Err(self.wanted(wanted)),
        }
    }

    fn null(&mut self) -> Read<bool> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null").map(|()| true)
    }

    fn word(&mut self, word: &'static str) -> Read<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("this is not JSON"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Read<&'a str> {
        let rest = &self.text[self.at..];
        match number::length(rest.as_bytes()) {
            Some(length) => {
                self.at += length;
                Ok(&rest[..length])
            }
            None if rest.is_empty() => Err(self.fault("the text ends too early")),
            None => Err(self.fault("this is not JSON")),
        }
    }

    // Stands at the opening quote.
    fn string(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at;
        self.at += 1;
        let mut unescaped = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let Some(plain) = plain else { return Err(at(start, "the text in quotes does not end".to_owned())) };
            let (run, stop) = (&rest[..plain], rest.as_bytes()[plain]);
            self.at += plain;
            match stop {
                b'"' => {
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(Cow::Borrowed(run));
                    }
                    unescaped.push_str(run);
                    return Ok(Cow::Owned(unescaped));
                }
                b'\\' => {
                    unescaped.push_str(run);
                    unescaped.push(self.escape()?);
                }
                _ => return Err(self.fault("a control character must be escaped")),
            }
        }
    }

    // Stands at the backslash.
    fn escape(&mut self) -> Read<char> {
        let plain = match self.text.as_bytes().get(self.at + 1) {
            Some(b'u') => return self.unicode_escape(),
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.fault("this escape is not JSON")),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Read<char> {
        let unit = self.code_unit(self.at)?;
        let (code, length) = match unit {
            0xd800..=0xdbff => match self.code_unit(self.at + 6) {
                Ok(low @ 0xdc00..=0xdfff) => (0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), 12),
                _ => (unit, 6),
            },
            _ => (unit, 6),
        };
        let lone = || self.fault("half of a surrogate pair stands alone, which is not text");
        let unescaped = char::from_u32(code).ok_or_else(lone)?;
        self.at += length;
        Ok(unescaped)
    }

    // The number in `\uXXXX`.
    fn code_unit(&self, from: usize) -> Read<u32> {
        let digits = match self.text.as_bytes().get(from..from + 6) {
            Some([b'\\', b'u', digits @ ..]) if digits.iter().all(u8::is_ascii_hexdigit) => digits,
            _ => return Err(self.fault("this escape is not JSON")),
        };
        Ok(digits.iter().fold(0, |unit, digit| unit << 4 | char::from(*digit).to_digit(16).unwrap_or(0)))
    }

    fn hint(&mut self, warning: Warning, offset: usize) {
        match self.hints.iter_mut().find(|(known, _)| *known == warning) {
            Some((_, hint)) => hint.count += 1,
            None => self.hints.push((warning, Hint { count: 1, first: offset })),
        }
    }

    fn wanted(&mut self, wanted: &str) -> Fault {
        match self.peek() {
            None if self.depth == 0 => self.fault("the body is empty; a request without items is {}"),
            None => self.fault("the text ends too early"),
            Some(0xef) if self.at == 0 => self.fault("a byte order mark must not precede JSON"),
            Some(_) => self.fault(&format!("{wanted} should be here")),
        }
    }

    fn fault(&self, what: &str) -> Fault {
        at(self.at, what.to_owned())
    }
}

fn at(offset: usize, what: String) -> Fault {
    Fault { offset, what }
}

// What a sender wrote, repeated to it in bounds.
fn echo(text: &str) -> String {
    let short: String = text.chars().take(limits::NAME_ECHO_CHARS_MAX).collect();
    format!("{short:?}")
}

// What a key in snake_case would be in OTLP/JSON.
fn camel_case(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut upper = false;
    for char in key.chars() {
        match char {
            '_' => upper = true,
            char if upper => {
                camel.push(char.to_ascii_uppercase());
                upper = false;
            }
            char => camel.push(char),
        }
    }
    camel
}
