//! Typed access to the columns of a batch, whatever encoding a part gave them. A column that is missing reads as null.

use arrow::array::{
    Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _, FixedSizeBinaryArray, MapArray, PrimitiveArray,
    RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;
use model::Timestamp;
use model::attributes::AttributeValue;
use model::id::hex;

/// A column of texts.
#[derive(Clone, Debug)]
pub struct Texts(Option<StringArray>);

impl Texts {
    /// The column of this name.
    pub fn of(batch: &RecordBatch, name: &str) -> Result<Self, ArrowError> {
        let array = batch.column_by_name(name).map(|array| cast(array, &DataType::Utf8)).transpose()?;
        Ok(Self(array.map(|array| array.as_string::<i32>().clone())))
    }

    /// The text in a row.
    pub fn get(&self, row: usize) -> Option<&str> {
        let array = self.0.as_ref()?;
        array.is_valid(row).then(|| array.value(row))
    }

    /// The text in a row; empty if there is none.
    pub fn text(&self, row: usize) -> String {
        self.get(row).unwrap_or_default().to_owned()
    }
}

/// A column of numbers, or of nanoseconds.
#[derive(Clone, Debug)]
pub struct Numbers<T: ArrowPrimitiveType>(Option<PrimitiveArray<T>>);

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// The column of this name.
    pub fn of(batch: &RecordBatch, name: &str) -> Result<Self, ArrowError> {
        let array = batch.column_by_name(name).map(Self::numbers).transpose()?;
        Ok(Self(array))
    }

    /// The number in a row.
    pub fn get(&self, row: usize) -> Option<T::Native> {
        let array = self.0.as_ref()?;
        array.is_valid(row).then(|| array.value(row))
    }

    /// The column, if it is there.
    pub fn column(&self) -> Option<&PrimitiveArray<T>> {
        self.0.as_ref()
    }

    /// The number in a row; 0 if there is none.
    pub fn number(&self, row: usize) -> T::Native {
        self.get(row).unwrap_or_default()
    }

    fn numbers(array: &ArrayRef) -> Result<PrimitiveArray<T>, ArrowError> {
        // Times are taken as the integers they are, without their time zone.
        let array = match array.data_type() {
            DataType::Timestamp(..) => cast(array, &DataType::Int64)?,
            _ => ArrayRef::clone(array),
        };
        Ok(cast(&array, &T::DATA_TYPE)?.as_primitive::<T>().clone())
    }
}

/// A column of moments.
pub type Times = Numbers<Int64Type>;

impl Times {
    /// The moment in a row; the Unix epoch if there is none.
    pub fn time(&self, row: usize) -> Timestamp {
        Timestamp::from_nanos(self.number(row))
    }
}

/// A column of binary ids.
#[derive(Clone, Debug)]
pub struct Ids(Option<FixedSizeBinaryArray>);

impl Ids {
    /// The column of this name.
    pub fn of(batch: &RecordBatch, name: &str) -> Self {
        Self(batch.column_by_name(name).and_then(|array| array.as_fixed_size_binary_opt().cloned()))
    }

    /// The bytes in a row.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let array = self.0.as_ref()?;
        array.is_valid(row).then(|| array.value(row))
    }

    /// The digits in a row.
    pub fn hex(&self, row: usize) -> Option<String> {
        self.get(row).map(hex)
    }
}

/// A column of maps from text to OTLP/JSON.
#[derive(Clone, Debug)]
pub struct Maps(Option<MapArray>);

impl Maps {
    /// The column of this name.
    pub fn of(batch: &RecordBatch, name: &str) -> Self {
        Self(batch.column_by_name(name).and_then(|array| array.as_map_opt().cloned()))
    }

    /// The map array itself, as a child of another column.
    pub fn of_array(array: &ArrayRef) -> Self {
        Self(array.as_map_opt().cloned())
    }

    /// Key and JSON text of each entry of a row.
    pub fn entries(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(move |map| map.is_valid(row)).flat_map(move |map| {
            let offsets = map.value_offsets();
            let keys = map.keys().as_string::<i32>();
            let values = map.values().as_string::<i32>();
            (offsets[row] as usize..offsets[row + 1] as usize).map(|entry| (keys.value(entry), values.value(entry)))
        })
    }

    /// The values of a row whose keys have this prefix, by the rest of their keys.
    pub fn values(&self, row: usize, prefix: &str) -> Vec<(String, AttributeValue)> {
        let entries = self.entries(row);
        entries.filter_map(|(key, json)| Some((key.strip_prefix(prefix)?.to_owned(), read_value(json)?))).collect()
    }
}

/// The value of an overflow entry; `None` if it is none, which no writer writes.
pub fn read_value(json: &str) -> Option<AttributeValue> {
    AttributeValue::from_otlp_json(&serde_json::from_str(json).ok()?)
}

/// All attributes of one kind: the columns with a prefix, and what the overflow map has of it.
#[derive(Clone, Debug)]
pub struct AttributeReader {
    prefix: &'static str,
    columns: Vec<(String, ArrayRef)>,
    overflow: Maps,
}

impl AttributeReader {
    /// The attributes with this prefix.
    pub fn of(batch: &RecordBatch, prefix: &'static str, overflow: &str) -> Result<Self, ArrowError> {
        let schema = batch.schema();
        let mut columns = Vec::new();
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            if let Some(key) = field.name().strip_prefix(prefix) {
                columns.push((key.to_owned(), plain(array)?));
            }
        }
        Ok(Self { prefix, columns, overflow: Maps::of(batch, overflow) })
    }

    /// The attributes of a row.
    pub fn read(&self, row: usize) -> Vec<(String, AttributeValue)> {
        let own = self.columns.iter().filter_map(|(key, array)| Some((key.clone(), value(array, row)?)));
        own.chain(self.overflow.values(row, self.prefix)).collect()
    }
}

// Without dictionaries and views.
fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Dictionary(_, values) if matches!(**values, DataType::Binary) => cast(array, &DataType::Binary),
        DataType::Dictionary(..) | DataType::LargeUtf8 | DataType::Utf8View => cast(array, &DataType::Utf8),
        DataType::LargeBinary | DataType::BinaryView => cast(array, &DataType::Binary),
        _ => Ok(ArrayRef::clone(array)),
    }
}

fn value(array: &ArrayRef, row: usize) -> Option<AttributeValue> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8 => AttributeValue::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::Boolean => AttributeValue::Bool(array.as_boolean().value(row)),
        DataType::Int64 => AttributeValue::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => AttributeValue::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Binary => AttributeValue::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        // Attribute columns have no other types.
        _ => return None,
    })
}
