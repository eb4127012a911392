//! Doubles that are decimal numbers: most of what is measured has few digits behind the point, and takes two bytes as a whole number of
//! thousandths where its double takes seven. A part of points keeps such values as whole numbers of units, and how many digits
//! behind the point a unit stands for, which is chosen for each granule. Each gives its very double back by one division, or stays a double.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch, UInt8Array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, Schema, SchemaRef, UInt8Type};
use arrow::error::ArrowError;

use crate::schema::column;

/// The most digits behind the point: nanoseconds as seconds.
const SCALE_MAX: u8 = 9;
/// Whole numbers below it are doubles.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Values that are looked at to choose the scale.
const LOOK_AT: usize = 512;

fn power(scale: u8) -> f64 {
    10f64.powi(scale.into())
}

// The number of units that a value is, if it is exactly that.
fn units(value: f64, power: f64) -> Option<i64> {
    let units = (value * power).round();
    // Written so that a NaN is none. A zero with a sign does not come back from a whole number.
    (units.abs() < WHOLE_MAX)
        .then_some(units as i64)
        .filter(|units| (*units as f64 / power).to_bits() == value.to_bits())
}

/// How many digits behind the point most of the values have; `None` if few are decimal numbers.
pub(super) fn choose_scale(rows: &RecordBatch) -> Option<u8> {
    let values = rows.column_by_name(column::VALUE_DOUBLE)?.as_primitive_opt::<Float64Type>()?;
    let there = values.len() - values.null_count();
    let step = (there / LOOK_AT).max(1);
    let sample: Vec<f64> = values.iter().flatten().step_by(step).collect();
    let mut best = (0, 0);
    for scale in 0..=SCALE_MAX {
        let power = power(scale);
        let fitting = sample.iter().filter(|value| units(**value, power).is_some()).count();
        if fitting > best.1 {
            best = (scale, fitting);
        }
    }
    (best.1 * 8 >= sample.len() && best.1 > 0).then_some(best.0)
}

/// The columns of a part with decimals.
pub(super) fn with_decimals(schema: &SchemaRef) -> SchemaRef {
    let decimals = [(column::VALUE_UNITS, DataType::Int64), (column::VALUE_SCALE, DataType::UInt8)];
    let decimals = decimals.map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(decimals).collect::<Vec<FieldRef>>()))
}

/// Moves values to the columns of decimals, which come last. Without a scale all stay where they are.
pub(super) fn split(rows: &RecordBatch, scale: Option<u8>) -> Result<RecordBatch, ArrowError> {
    let schema = with_decimals(rows.schema_ref());
    let mut columns = rows.columns().to_vec();
    let Some(scale) = scale else {
        let none = [DataType::Int64, DataType::UInt8].map(|data_type| new_null_array(&data_type, rows.num_rows()));
        columns.extend(none);
        return RecordBatch::try_new(schema, columns);
    };
    let place = rows.schema_ref().index_of(column::VALUE_DOUBLE)?;
    let power = power(scale);
    let values = columns[place].as_primitive::<Float64Type>();
    let decimals: Int64Array = values.iter().map(|value| units(value?, power)).collect();
    let doubles: Float64Array =
        values.iter().zip(&decimals).map(|(value, units)| value.filter(|_| units.is_none())).collect();
    let scales = UInt8Array::new(vec![scale; decimals.len()].into(), decimals.nulls().cloned());
    columns[place] = Arc::new(doubles);
    columns.extend([Arc::new(decimals) as ArrayRef, Arc::new(scales)]);
    RecordBatch::try_new(schema, columns)
}

/// Doubles and decimals of the same rows as doubles. `None` if the columns are not what they should be.
pub(super) fn joined(rows: &RecordBatch) -> Option<ArrayRef> {
    let doubles = rows.column_by_name(column::VALUE_DOUBLE)?.as_primitive_opt::<Float64Type>()?;
    let units = rows.column_by_name(column::VALUE_UNITS)?.as_primitive_opt::<Int64Type>()?;
    let scales = rows.column_by_name(column::VALUE_SCALE)?.as_primitive_opt::<UInt8Type>()?;
    let greatest = scales.iter().flatten().max().unwrap_or(0);
    if greatest > SCALE_MAX {
        return None;
    }
    let least = scales.iter().flatten().min().unwrap_or(0);
    let mut values: Vec<f64> = if least == greatest {
        let power = power(least);
        units.values().iter().map(|units| *units as f64 / power).collect()
    } else {
        let powers: Vec<f64> = (0..=u8::MAX).map(|scale| power(scale.min(SCALE_MAX))).collect();
        let pairs = units.values().iter().zip(scales.values());
        pairs.map(|(units, scale)| *units as f64 / powers[usize::from(*scale)]).collect()
    };
    // Where there is no decimal there may be a double.
    let Some(decimals) = NullBuffer::union(units.nulls(), scales.nulls()) else {
        return Some(Arc::new(Float64Array::new(values.into(), None)));
    };
    for row in (!decimals.inner()).set_indices() {
        values[row] = doubles.value(row);
    }
    let nulls = doubles.nulls().map(|doubles| NullBuffer::new(decimals.inner() | doubles.inner()));
    Some(Arc::new(Float64Array::new(values.into(), nulls)))
}

/// Whether a column is there for decimals alone.
pub(super) fn is_of_decimals(name: &str) -> bool {
    name == column::VALUE_UNITS || name == column::VALUE_SCALE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: Vec<Option<f64>>) -> RecordBatch {
        let array: ArrayRef = Arc::new(Float64Array::from(values));
        RecordBatch::try_from_iter_with_nullable([(column::VALUE_DOUBLE, array, true)]).expect("one column")
    }

    #[test]
    fn values_come_back_bit_by_bit() {
        let mut random = fastrand::Rng::with_seed(11);
        let odd =
            [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, 1e15, 1e16, -0.001, 0.1 + 0.2, 9e18];
        for scale in 0..=SCALE_MAX {
            let some = (0..3_000).map(|_| match random.u8(..5) {
                0 => None,
                1 => Some(f64::from_bits(random.u64(..))),
                2 => Some(odd[random.usize(..odd.len())]),
                _ => Some(random.i64(-1_000_000_000..1_000_000_000) as f64 / power(random.u8(..=SCALE_MAX))),
            });
            let rows = rows(some.collect());
            let split = split(&rows, Some(scale)).expect("it has the column");
            let back = joined(&split).expect("all are there");
            let bits = |array: &ArrayRef| -> Vec<Option<u64>> {
                array.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
            };
            assert_eq!(bits(&back), bits(&rows[column::VALUE_DOUBLE]), "scale {scale}");
            let moved = split[column::VALUE_UNITS].len() - split[column::VALUE_UNITS].null_count();
            assert!(moved > 100, "scale {scale}: {moved}");
        }
    }

    #[test]
    fn scales() {
        let thousandths = (0..900).map(|value| Some(f64::from(value) / 1_000.0));
        let precise = (1..300).map(|value| Some(f64::from(value).sqrt()));
        assert_eq!(choose_scale(&rows(thousandths.clone().chain(precise.clone()).collect())), Some(3));
        assert_eq!(choose_scale(&rows((0..9).map(|value| Some(f64::from(value))).collect())), Some(0));
        assert_eq!(
            choose_scale(&rows(precise.filter(|value| value.is_some_and(|value| value.fract() != 0.0)).collect())),
            None
        );
        assert_eq!(choose_scale(&rows(vec![None])), None);
    }
}
