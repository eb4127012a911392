//! Protobuf's wire format, read where it lies: nothing is copied, and what a message's walker does not know is skipped. Knows
//! no message; `logs`, `spans` and `points` do.
//!
//! As strict as prost, which senders are used to: what it refuses is refused here, groups and fields that nobody knows
//! included.

use std::fmt;

/// How deep messages may be nested. Prost's limit, and so the protocol's in practice; the stack grows with it.
pub(super) const DEPTH_MAX: u32 = 100;

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Malformed {
    what: &'static str,
    // The address of the byte until the whole is known, then its position.
    at: usize,
}

impl Malformed {
    // The same with the position of the byte in the whole.
    pub(super) fn within(self, whole: &[u8]) -> Self {
        Self { at: self.at.saturating_sub(whole.as_ptr().addr()).min(whole.len()), ..self }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.what)
    }
}

impl std::error::Error for Malformed {}

/// Why a walk over a request ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Malformed(Malformed),
    /// See [`crate::limits::DECODED_BYTES_MAX`].
    TooManyParts,
}

/// What a walker gives.
pub(super) type Walk<T> = Result<T, Stop>;

const CUT_SHORT: &str = "it is cut short";

/// How a field's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Bytes,
    GroupStart,
    GroupEnd,
    Fixed32,
}

/// A field's number, and how its value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub number: u32,
    pub wire: Wire,
}

/// The fields of one message, front to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    // Levels that may still be entered.
    depth: u32,
}

impl<'a> Fields<'a> {
    /// Of the outermost message.
    pub(super) fn of_request(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, depth: DEPTH_MAX }
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field's key; its value has to be read or skipped before the next call. `None` at the end.
    #[inline]
    pub(super) fn key(&mut self) -> Walk<Option<Key>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.any_key().map(Some)
    }

    #[inline]
    fn any_key(&mut self) -> Walk<Key> {
        let at = self.rest;
        let key = self.varint_value()?;
        let wire = match key & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Bytes,
            3 => Wire::GroupStart,
            4 => Wire::GroupEnd,
            5 => Wire::Fixed32,
            _ => return Err(fault(at, "a field is written in a way that protobuf does not have")),
        };
        match u32::try_from(key) {
            Ok(key) if key > 7 => Ok(Key { number: key >> 3, wire }),
            _ => Err(fault(at, "a field's number is out of range")),
        }
    }

    /// A number of variable length.
    #[inline]
    pub(super) fn varint(&mut self, key: Key) -> Walk<u64> {
        self.expect(key, Wire::Varint)?;
        self.varint_value()
    }

    /// The same as 32 bits: what is above them is cut off.
    #[inline]
    pub(super) fn u32(&mut self, key: Key) -> Walk<u32> {
        Ok(self.varint(key)? as u32)
    }

    /// An `int32` or an enumeration.
    #[inline]
    pub(super) fn i32(&mut self, key: Key) -> Walk<i32> {
        Ok(self.varint(key)? as i32)
    }

    /// A `sint32`.
    #[inline]
    pub(super) fn sint32(&mut self, key: Key) -> Walk<i32> {
        let zigzag = self.varint(key)? as u32;
        Ok((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))
    }

    /// Eight bytes as a number.
    #[inline]
    pub(super) fn fixed64(&mut self, key: Key) -> Walk<u64> {
        self.expect(key, Wire::Fixed64)?;
        self.fixed64_value()
    }

    /// A double.
    #[inline]
    pub(super) fn double(&mut self, key: Key) -> Walk<f64> {
        Ok(f64::from_bits(self.fixed64(key)?))
    }

    /// Four bytes as a number.
    #[inline]
    pub(super) fn fixed32(&mut self, key: Key) -> Walk<u32> {
        self.expect(key, Wire::Fixed32)?;
        let (value, rest) = self.rest.split_first_chunk().ok_or_else(|| fault(self.rest, CUT_SHORT))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*value))
    }

    /// Bytes.
    #[inline]
    pub(super) fn bytes(&mut self, key: Key) -> Walk<&'a [u8]> {
        self.expect(key, Wire::Bytes)?;
        self.bytes_value()
    }

    /// Text.
    #[inline]
    pub(super) fn text(&mut self, key: Key) -> Walk<&'a str> {
        let bytes = self.bytes(key)?;
        std::str::from_utf8(bytes).map_err(|error| fault(&bytes[error.valid_up_to()..], "a text is not UTF-8"))
    }

    /// The fields of a message inside this one.
    #[inline]
    pub(super) fn message(&mut self, key: Key) -> Walk<Fields<'a>> {
        self.expect(key, Wire::Bytes)?;
        let depth = self.depth.checked_sub(1).ok_or_else(|| fault(self.rest, TOO_DEEP))?;
        Ok(Fields { rest: self.bytes_value()?, depth })
    }

    /// One or, packed, any number of `fixed64`.
    pub(super) fn fixed64_list(&mut self, key: Key, mut each: impl FnMut(u64)) -> Walk<()> {
        if key.wire != Wire::Bytes {
            each(self.fixed64(key)?);
            return Ok(());
        }
        let packed = self.bytes_value()?;
        let (values, rest) = packed.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(fault(rest, CUT_SHORT));
        }
        values.iter().for_each(|value| each(u64::from_le_bytes(*value)));
        Ok(())
    }

    /// One or, packed, any number of varints.
    pub(super) fn varint_list(&mut self, key: Key, mut each: impl FnMut(u64)) -> Walk<()> {
        if key.wire != Wire::Bytes {
            each(self.varint(key)?);
            return Ok(());
        }
        let mut packed = Fields { rest: self.bytes_value()?, depth: self.depth };
        while !packed.rest.is_empty() {
            each(packed.varint_value()?);
        }
        Ok(())
    }

    /// Reads over the value of a field that nobody knows.
    pub(super) fn skip(&mut self, key: Key) -> Walk<()> {
        self.skip_within(key, self.depth)
    }

    fn skip_within(&mut self, key: Key, depth: u32) -> Walk<()> {
        if depth == 0 {
            return Err(fault(self.rest, TOO_DEEP));
        }
        match key.wire {
            Wire::Varint => self.varint_value().map(|_| ()),
            Wire::Fixed64 => self.take(8).map(|_| ()),
            Wire::Fixed32 => self.take(4).map(|_| ()),
            Wire::Bytes => self.bytes_value().map(|_| ()),
            Wire::GroupEnd => Err(fault(self.rest, "a group ends that did not begin")),
            Wire::GroupStart => loop {
                let inner = self.any_key()?;
                if inner.wire != Wire::GroupEnd {
                    self.skip_within(inner, depth - 1)?;
                } else if inner.number == key.number {
                    return Ok(());
                } else {
                    return Err(fault(self.rest, "a group ends that did not begin"));
                }
            },
        }
    }

    #[inline]
    fn expect(&self, key: Key, wire: Wire) -> Walk<()> {
        if key.wire == wire {
            return Ok(());
        }
        Err(fault(self.rest, "a field is written in another way than its type asks for"))
    }

    #[inline]
    fn take(&mut self, length: usize) -> Walk<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| fault(self.rest, CUT_SHORT))?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn bytes_value(&mut self) -> Walk<&'a [u8]> {
        let length = self.varint_value()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    #[inline]
    fn fixed64_value(&mut self) -> Walk<u64> {
        let (value, rest) = self.rest.split_first_chunk().ok_or_else(|| fault(self.rest, CUT_SHORT))?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*value))
    }

    // Most are lengths and keys of one byte.
    #[inline]
    fn varint_value(&mut self) -> Walk<u64> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            [low, high, ref rest @ ..] if high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Walk<u64> {
        let mut value = 0u64;
        for (position, byte) in self.rest.iter().take(10).enumerate() {
            // Of the tenth byte one bit is left.
            if position == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * position);
            if *byte < 0x80 {
                self.rest = &self.rest[position + 1..];
                return Ok(value);
            }
        }
        let what = if self.rest.len() < 10 { CUT_SHORT } else { "a number has more than 64 bits" };
        Err(fault(self.rest, what))
    }
}

const TOO_DEEP: &str = "messages are nested too deep";

#[cold]
fn fault(at: &[u8], what: &'static str) -> Stop {
    Stop::Malformed(Malformed { what, at: at.as_ptr().addr() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_protobuf_writes_them() {
        let key = Key { number: 1, wire: Wire::Varint };
        let cases: [(&[u8], Option<u64>); 8] = [
            (&[0], Some(0)),
            (&[0x7f], Some(127)),
            (&[0x80, 0x01], Some(128)),
            (&[0x80, 0x00], Some(0)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Some(u64::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], None),
            (&[0x80; 11], None),
            (&[0x80], None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Fields::of_request(bytes).varint(key).ok(), expected, "{bytes:?}");
        }
        let signed = |bytes: &'static [u8]| Fields::of_request(bytes).sint32(key);
        assert_eq!([signed(&[0]), signed(&[1]), signed(&[2]), signed(&[3])], [Ok(0), Ok(-1), Ok(1), Ok(-2)]);
    }

    #[test]
    fn a_complaint_names_the_byte() {
        let whole = [0x0a, 0x02, b'a', 0xff];
        let mut fields = Fields::of_request(&whole);
        let key = fields.key().expect("a key").expect("a field");
        let Err(Stop::Malformed(complaint)) = fields.text(key) else { panic!("it is no text") };
        assert_eq!(complaint.within(&whole).to_string(), "byte 3: a text is not UTF-8");
    }
}
