//! Bounds of the store, each with its reason.

/// Attribute columns of one batch or part. More would make every Parquet footer and every batch header grow with the
/// sender's imagination; keys beyond it live in the overflow map, where they are found by scanning.
pub const ATTRIBUTE_COLUMNS_MAX: usize = 200;
