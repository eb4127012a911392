//! The payload of a batch's record: its columns, compactly. Encoding happens on the appending caller's side; decoding at
//! replay, where nothing may be trusted: garbage gives an error, never a panic and never much memory.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray as _, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray,
    make_array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use model::Signal;

use super::{Input, Malformed, put_bytes, put_varint};
use crate::schema::Batch;

// Arrow's buffers are in the machine's order, the log's are little-endian.
#[cfg(target_endian = "big")]
compile_error!("the WAL copies Arrow's buffers and is little-endian");

// Types nest at most this deep: a list of structs with a map in it has depth 5.
const DEPTH_MAX: usize = 8;
// Columns without a value take no bytes; what they may take when they are decoded is bounded, so that a short payload
// cannot ask for much memory.
const ABSENT_BYTES_MAX: usize = 256 << 20;

// Bits that say which tables follow the first two.
const HAS_EXEMPLARS: u8 = 1;
const HAS_ENVELOPES: u8 = 2;

const NO_NULLS: u8 = 0;
const SOME_NULLS: u8 = 1;
const ALL_NULL: u8 = 2;

// Tags of types. The number of each is part of the format.
const BOOLEAN: u8 = 1;
const UTF8: u8 = 12;
const BINARY: u8 = 13;
const FIXED_SIZE_BINARY: u8 = 14;
const TIMESTAMP: u8 = 15;
const LIST: u8 = 16;
const STRUCT: u8 = 17;
const MAP: u8 = 18;
const NUMBERS: [(u8, DataType); 10] = [
    (2, DataType::Int8),
    (3, DataType::Int16),
    (4, DataType::Int32),
    (5, DataType::Int64),
    (6, DataType::UInt8),
    (7, DataType::UInt16),
    (8, DataType::UInt32),
    (9, DataType::UInt64),
    (10, DataType::Float32),
    (11, DataType::Float64),
];
const TIME_UNITS: [TimeUnit; 4] =
    [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];

/// Appends the columns of a batch. Its signal and number of rows stand in the record's header.
pub(crate) fn encode(batch: &Batch, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut encoder = Encoder { out, absent_bytes: 0 };
    encoder.table(&batch.rows)?;
    encoder.table(&batch.shared)?;
    let envelopes = if batch.envelopes.is_some() { HAS_ENVELOPES } else { 0 };
    encoder.out.push(u8::from(batch.exemplars.is_some()) | envelopes);
    batch.exemplars.iter().chain(&batch.envelopes).try_for_each(|table| encoder.table(table))
}

/// The batch whose columns were encoded.
pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Result<Batch, Malformed> {
    let mut decoder = Decoder { input: Input::new(bytes), absent_bytes: 0 };
    let rows = decoder.table()?;
    let shared = decoder.table()?;
    let tables = decoder.input.byte()?;
    if tables & !(HAS_EXEMPLARS | HAS_ENVELOPES) != 0 {
        return Err(Malformed("it is unclear which tables there are"));
    }
    let mut table = |flag: u8| if tables & flag == 0 { Ok(None) } else { decoder.table().map(Some) };
    let (exemplars, envelopes) = (table(HAS_EXEMPLARS)?, table(HAS_ENVELOPES)?);
    if !decoder.input.is_empty() {
        return Err(Malformed("bytes are left over"));
    }
    Ok(Batch { signal, rows, shared, envelopes, exemplars })
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    absent_bytes: usize,
}

impl Encoder<'_> {
    fn table(&mut self, table: &RecordBatch) -> Result<(), Malformed> {
        put_varint(self.out, table.num_rows() as u64);
        put_varint(self.out, table.num_columns() as u64);
        for (field, array) in table.schema().fields().iter().zip(table.columns()) {
            self.field(field, 0)?;
            if self.is_absent(array.as_ref()) {
                self.out.push(ALL_NULL);
            } else {
                self.array(array.as_ref())?;
            }
        }
        Ok(())
    }

    // Whether a column has no value and is simple enough to be left out.
    fn is_absent(&mut self, array: &dyn Array) -> bool {
        if array.is_empty() || array.null_count() < array.len() {
            return false;
        }
        let Some(bytes) = absent_bytes(array.data_type(), array.len()) else {
            return false;
        };
        let sum = self.absent_bytes.saturating_add(bytes);
        if sum > ABSENT_BYTES_MAX {
            return false;
        }
        self.absent_bytes = sum;
        true
    }

    fn field(&mut self, field: &Field, depth: usize) -> Result<(), Malformed> {
        put_bytes(self.out, field.name().as_bytes());
        self.out.push(u8::from(field.is_nullable()));
        self.data_type(field.data_type(), depth)
    }

    fn data_type(&mut self, data_type: &DataType, depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed("its types nest too deep"));
        }
        if let Some((tag, _)) = NUMBERS.iter().find(|(_, number)| number == data_type) {
            self.out.push(*tag);
            return Ok(());
        }
        match data_type {
            DataType::Boolean => self.out.push(BOOLEAN),
            DataType::Utf8 => self.out.push(UTF8),
            DataType::Binary => self.out.push(BINARY),
            DataType::FixedSizeBinary(width) if *width > 0 => {
                self.out.push(FIXED_SIZE_BINARY);
                put_varint(self.out, width.unsigned_abs().into());
            }
            DataType::Timestamp(unit, zone) => {
                let unit = TIME_UNITS.iter().position(|known| known == unit).unwrap_or_default();
                self.out.extend([TIMESTAMP, unit as u8, u8::from(zone.is_some())]);
                zone.iter().for_each(|zone| put_bytes(self.out, zone.as_bytes()));
            }
            DataType::List(field) => {
                self.out.push(LIST);
                self.field(field, depth + 1)?;
            }
            DataType::Struct(fields) => {
                self.out.push(STRUCT);
                put_varint(self.out, fields.len() as u64);
                fields.iter().try_for_each(|field| self.field(field, depth + 1))?;
            }
            DataType::Map(field, sorted) => {
                self.out.extend([MAP, u8::from(*sorted)]);
                self.field(field, depth + 1)?;
            }
            _ => return Err(Malformed("a column has a type that the log has no form for")),
        }
        Ok(())
    }

    fn array(&mut self, array: &dyn Array) -> Result<(), Malformed> {
        match array.nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                self.out.push(SOME_NULLS);
                self.bits(nulls.inner());
            }
            _ => self.out.push(NO_NULLS),
        }
        match array.data_type() {
            DataType::Boolean => self.bits(array.as_boolean().values()),
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                self.pieces(texts.offsets(), texts.value_data());
            }
            DataType::Binary => {
                let blobs = array.as_binary::<i32>();
                self.pieces(blobs.offsets(), blobs.value_data());
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let (start, len) = self.lengths(list.offsets());
                self.array(list.values().slice(start, len).as_ref())?;
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (start, len) = self.lengths(map.offsets());
                self.array(&map.entries().slice(start, len))?;
            }
            DataType::Struct(_) => {
                array.as_struct().columns().iter().try_for_each(|column| self.array(column.as_ref()))?;
            }
            other => {
                let width = fixed_width(other).ok_or(Malformed("a column has a type that the log has no form for"))?;
                let data = array.to_data();
                let buffer = data.buffers().first().map_or(&[][..], |buffer| buffer.as_slice());
                self.out.extend_from_slice(&buffer[data.offset() * width..(data.offset() + data.len()) * width]);
            }
        }
        Ok(())
    }

    fn bits(&mut self, bits: &BooleanBuffer) {
        self.out.extend_from_slice(&bits.sliced().as_slice()[..bits.len().div_ceil(8)]);
    }

    fn pieces(&mut self, offsets: &OffsetBuffer<i32>, values: &[u8]) {
        let (start, len) = self.lengths(offsets);
        self.out.extend_from_slice(&values[start..start + len]);
    }

    // Lengths instead of offsets: mostly one byte each, and alike, which compresses. Returns where the values that they
    // measure begin and how many there are.
    fn lengths(&mut self, offsets: &OffsetBuffer<i32>) -> (usize, usize) {
        let longest = offsets.lengths().max().unwrap_or(0);
        match longest {
            0..0x100 => {
                self.out.push(1);
                self.out.extend(offsets.lengths().map(|length| length as u8));
            }
            0x100..0x1_0000 => {
                self.out.push(2);
                offsets.lengths().for_each(|length| self.out.extend_from_slice(&(length as u16).to_le_bytes()));
            }
            _ => {
                self.out.push(4);
                offsets.lengths().for_each(|length| self.out.extend_from_slice(&(length as u32).to_le_bytes()));
            }
        }
        let start = offsets.first().map_or(0, |first| *first as usize);
        let end = offsets.last().map_or(0, |last| *last as usize);
        (start, end - start)
    }
}

struct Decoder<'a> {
    input: Input<'a>,
    absent_bytes: usize,
}

impl Decoder<'_> {
    fn table(&mut self) -> Result<RecordBatch, Malformed> {
        let rows = self.input.length()?;
        let columns = self.input.length()?;
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for _ in 0..columns {
            let field = self.field(0)?;
            arrays.push(self.column(field.data_type(), rows)?);
            fields.push(field);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|_| Malformed("its columns do not make a table"))
    }

    fn field(&mut self, depth: usize) -> Result<FieldRef, Malformed> {
        let name = self.input.text()?.to_owned();
        let nullable = self.flag()?;
        Ok(Arc::new(Field::new(name, self.data_type(depth)?, nullable)))
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a flag is neither 0 nor 1")),
        }
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed("its types nest too deep"));
        }
        let tag = self.input.byte()?;
        if let Some((_, number)) = NUMBERS.iter().find(|(known, _)| *known == tag) {
            return Ok(number.clone());
        }
        Ok(match tag {
            BOOLEAN => DataType::Boolean,
            UTF8 => DataType::Utf8,
            BINARY => DataType::Binary,
            FIXED_SIZE_BINARY => {
                let width = i32::try_from(self.input.varint()?).ok().filter(|width| *width > 0);
                DataType::FixedSizeBinary(width.ok_or(Malformed("a width is out of bounds"))?)
            }
            TIMESTAMP => {
                let unit = TIME_UNITS.get(usize::from(self.input.byte()?)).ok_or(Malformed("an unknown time unit"))?;
                let zone = if self.flag()? { Some(self.input.text()?.into()) } else { None };
                DataType::Timestamp(*unit, zone)
            }
            LIST => DataType::List(self.field(depth + 1)?),
            STRUCT => {
                let count = self.input.length()?;
                let fields: Result<Vec<FieldRef>, Malformed> = (0..count).map(|_| self.field(depth + 1)).collect();
                DataType::Struct(Fields::from(fields?))
            }
            MAP => {
                let sorted = self.flag()?;
                DataType::Map(self.field(depth + 1)?, sorted)
            }
            _ => return Err(Malformed("an unknown type")),
        })
    }

    fn column(&mut self, data_type: &DataType, len: usize) -> Result<ArrayRef, Malformed> {
        let mut ahead = self.input;
        if ahead.byte()? != ALL_NULL {
            return self.array(data_type, len);
        }
        self.input = ahead;
        let bytes = absent_bytes(data_type, len).ok_or(Malformed("a column cannot be left out"))?;
        self.absent_bytes = self.absent_bytes.saturating_add(bytes);
        if self.absent_bytes > ABSENT_BYTES_MAX {
            return Err(Malformed("too much is left out"));
        }
        Ok(new_null_array(data_type, len))
    }

    fn array(&mut self, data_type: &DataType, len: usize) -> Result<ArrayRef, Malformed> {
        let nulls = match self.input.byte()? {
            NO_NULLS => None,
            SOME_NULLS => Some(NullBuffer::new(self.bits(len)?)),
            _ => return Err(Malformed("it is unclear whether there are nulls")),
        };
        match data_type {
            DataType::Boolean => {
                let bits = self.bits(len)?;
                leaf(data_type, len, nulls, vec![bits.into_inner()])
            }
            DataType::Utf8 | DataType::Binary => {
                let offsets = self.offsets(len)?;
                let values = Buffer::from(self.input.take(end(&offsets))?);
                leaf(data_type, len, nulls, vec![offsets.into_inner().into_inner(), values])
            }
            DataType::List(field) => {
                let offsets = self.offsets(len)?;
                let values = self.array(field.data_type(), end(&offsets))?;
                let list = ListArray::try_new(Arc::clone(field), offsets, values, nulls);
                Ok(Arc::new(list.map_err(|_| Malformed("a list does not fit its type"))?))
            }
            DataType::Map(field, sorted) => {
                let offsets = self.offsets(len)?;
                let entries = self.array(field.data_type(), end(&offsets))?;
                let entries = entries.as_struct_opt().ok_or(Malformed("a map has no entries"))?.clone();
                let map = MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted);
                Ok(Arc::new(map.map_err(|_| Malformed("a map does not fit its type"))?))
            }
            DataType::Struct(fields) => {
                let columns: Result<Vec<ArrayRef>, Malformed> =
                    fields.iter().map(|field| self.array(field.data_type(), len)).collect();
                let table = StructArray::try_new_with_length(fields.clone(), columns?, nulls, len);
                Ok(Arc::new(table.map_err(|_| Malformed("a struct does not fit its type"))?))
            }
            other => {
                let width = fixed_width(other).ok_or(Malformed("an unknown type"))?;
                let bytes = len.checked_mul(width).ok_or(Malformed("a length is out of bounds"))?;
                let values = Buffer::from(self.input.take(bytes)?);
                leaf(data_type, len, nulls, vec![values])
            }
        }
    }

    fn bits(&mut self, len: usize) -> Result<BooleanBuffer, Malformed> {
        Ok(BooleanBuffer::new(Buffer::from(self.input.take(len.div_ceil(8))?), 0, len))
    }

    fn offsets(&mut self, len: usize) -> Result<OffsetBuffer<i32>, Malformed> {
        let width = usize::from(self.input.byte()?);
        if ![1, 2, 4].contains(&width) {
            return Err(Malformed("lengths have an unknown width"));
        }
        let bytes = self.input.take(len.checked_mul(width).ok_or(Malformed("a length is out of bounds"))?)?;
        let mut offsets = Vec::with_capacity(len + 1);
        let mut end: i32 = 0;
        offsets.push(end);
        for length in bytes.chunks_exact(width) {
            let mut number = [0; 4];
            number[..width].copy_from_slice(length);
            let next = i32::try_from(u32::from_le_bytes(number)).ok().and_then(|length| end.checked_add(length));
            end = next.ok_or(Malformed("lengths add up to too much"))?;
            offsets.push(end);
        }
        Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
    }
}

fn end(offsets: &OffsetBuffer<i32>) -> usize {
    offsets.last().map_or(0, |last| *last as usize)
}

fn leaf(
    data_type: &DataType,
    len: usize,
    nulls: Option<NullBuffer>,
    buffers: Vec<Buffer>,
) -> Result<ArrayRef, Malformed> {
    let data = ArrayData::builder(data_type.clone()).len(len).nulls(nulls).buffers(buffers).build();
    Ok(make_array(data.map_err(|_| Malformed("values do not fit their type"))?))
}

// Bytes per value of types that have values of one width.
fn fixed_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
        other => other.primitive_width(),
    }
}

// Memory of a column of nulls, for types that are left out when they are nothing else.
fn absent_bytes(data_type: &DataType, len: usize) -> Option<usize> {
    let width = match data_type {
        DataType::Boolean => 1,
        DataType::Utf8 | DataType::Binary => size_of::<i32>(),
        other => fixed_width(other)?,
    };
    Some(len.saturating_mul(width + 1))
}

#[cfg(test)]
#[path = "../../tests/it/sample.rs"]
pub(crate) mod sample;

#[cfg(test)]
mod tests;
