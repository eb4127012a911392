//! List columns of numbers: buckets, bounds and quantiles.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, ListArray, PrimitiveBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Fields};

use crate::schema::spans::{list_of_structs, push_end};

/// A list column of numbers, null where a row has none.
#[derive(Debug)]
pub(super) struct NumberLists<T: ArrowPrimitiveType> {
    ends: Vec<i32>,
    present: Vec<bool>,
    values: PrimitiveBuilder<T>,
}

impl<T: ArrowPrimitiveType> Default for NumberLists<T> {
    fn default() -> Self {
        Self { ends: vec![0], present: Vec::new(), values: PrimitiveBuilder::new() }
    }
}

impl<T: ArrowPrimitiveType> NumberLists<T> {
    pub(super) fn push(&mut self, row: Option<&[T::Native]>) {
        let numbers = row.unwrap_or_default();
        self.values.append_slice(numbers);
        self.present.push(row.is_some());
        push_end(&mut self.ends, numbers.len());
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        let field = Field::new("element", T::DATA_TYPE, false);
        let offsets = OffsetBuffer::new(self.ends.into());
        let nulls = NullBuffer::from(self.present);
        Arc::new(ListArray::new(Arc::new(field), offsets, Arc::new(self.values.finish()), Some(nulls)))
    }
}

/// A list column of quantiles with their values.
#[derive(Debug)]
pub(super) struct QuantileColumns {
    ends: Vec<i32>,
    quantile: Float64Builder,
    value: Float64Builder,
}

impl Default for QuantileColumns {
    fn default() -> Self {
        Self { ends: vec![0], quantile: Float64Builder::new(), value: Float64Builder::new() }
    }
}

impl QuantileColumns {
    pub(super) fn push(&mut self, row: Option<&[(f64, f64)]>) {
        let pairs = row.unwrap_or_default();
        for (quantile, value) in pairs {
            self.quantile.append_value(*quantile);
            self.value.append_value(*value);
        }
        push_end(&mut self.ends, pairs.len());
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new("quantile", DataType::Float64, false),
            Field::new("value", DataType::Float64, false),
        ]);
        list_of_structs(fields, vec![Arc::new(self.quantile.finish()), Arc::new(self.value.finish())], self.ends)
    }
}
