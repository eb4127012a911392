//! Just enough of protobuf's wire format to write requests.

/// A message under construction. Fields are written in the order of the calls.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A varint.
    pub fn number(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(value);
    }

    /// A `fixed64`, or the bits of a double.
    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A `fixed32`.
    pub fn fixed32(&mut self, field: u32, value: u32) {
        self.varint(u64::from(field) << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Text.
    pub fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A packed list of eight-byte numbers.
    pub fn packed64(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(8 * values.len() as u64);
        values.for_each(|value| self.0.extend_from_slice(&value.to_le_bytes()));
    }

    /// A message inside this one.
    pub fn message(&mut self, field: u32, content: impl FnOnce(&mut Self)) {
        self.varint(u64::from(field) << 3 | 2);
        let start = self.0.len();
        content(self);
        let length = self.0.len() - start;
        // The length is known only now; it goes in front.
        self.varint(length as u64);
        let width = self.0.len() - start - length;
        self.0[start..].rotate_right(width);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
