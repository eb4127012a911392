//! Tests of the column codec: everything reads back, and garbage is an error.

use arrow::array::{
    BinaryArray, BooleanArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, StringArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{ArrowPrimitiveType, Int64Type};
use fastrand::Rng;

use super::*;
use crate::schema::map_type;

fn round_trip(batch: &Batch, context: &str) {
    let mut bytes = Vec::new();
    encode(batch, &mut bytes).expect(context);
    let decoded = decode(batch.signal, &bytes).expect(context);
    assert_eq!(decoded.rows, batch.rows, "{context}");
    assert_eq!(decoded.shared, batch.shared, "{context}");
    assert_eq!(decoded.envelopes, batch.envelopes, "{context}");
    assert_eq!(decoded.exemplars, batch.exemplars, "{context}");
    for table in [Some(&decoded.rows), Some(&decoded.shared), decoded.exemplars.as_ref()].into_iter().flatten() {
        for column in table.columns() {
            column.to_data().validate_full().expect(context);
        }
    }
}

fn some<T>(rng: &mut Rng, value: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    (rng.u8(0..4) > 0).then(|| value(rng))
}

fn options<T>(rng: &mut Rng, len: usize, value: impl Fn(&mut Rng) -> T) -> Vec<Option<T>> {
    // Sometimes no null at all, sometimes nothing else.
    match rng.u8(0..6) {
        0 => (0..len).map(|_| Some(value(rng))).collect(),
        1 => (0..len).map(|_| None).collect(),
        _ => (0..len).map(|_| some(rng, &value)).collect(),
    }
}

fn text(rng: &mut Rng) -> String {
    // Lengths of one, two and four bytes.
    let length =
        [rng.usize(0..10), rng.usize(200..300), 66_000][usize::from(rng.u8(..) > 200) + usize::from(rng.u8(..) > 250)];
    "é".repeat(length / 2)
}

fn leaf_array(rng: &mut Rng, len: usize) -> ArrayRef {
    match rng.u8(0..17) {
        0 => Arc::new(BooleanArray::from(options(rng, len, Rng::bool))),
        1 => Arc::new(Int8Array::from(options(rng, len, |rng| rng.i8(..)))),
        2 => Arc::new(Int16Array::from(options(rng, len, |rng| rng.i16(..)))),
        3 => Arc::new(Int32Array::from(options(rng, len, |rng| rng.i32(..)))),
        4 => Arc::new(Int64Array::from(options(rng, len, |rng| rng.i64(..)))),
        5 => Arc::new(UInt8Array::from(options(rng, len, |rng| rng.u8(..)))),
        6 => Arc::new(UInt16Array::from(options(rng, len, |rng| rng.u16(..)))),
        7 => Arc::new(UInt32Array::from(options(rng, len, |rng| rng.u32(..)))),
        8 => Arc::new(UInt64Array::from(options(rng, len, |rng| rng.u64(..)))),
        9 => Arc::new(Float32Array::from(options(rng, len, Rng::f32))),
        10 => Arc::new(Float64Array::from(options(rng, len, Rng::f64))),
        11 => Arc::new(StringArray::from(options(rng, len, text))),
        12 => {
            let values = options(rng, len, text);
            let values = values.iter().map(|value| value.as_ref().map(|value| value.as_bytes())).collect::<Vec<_>>();
            Arc::new(BinaryArray::from(values))
        }
        13 => {
            let values = options(rng, len, |rng| rng.u128(..).to_be_bytes());
            let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), 16);
            Arc::new(array.expect("all are of one width"))
        }
        14 => Arc::new(TimestampMillisecondArray::from(options(rng, len, |rng| rng.i64(..)))),
        _ => Arc::new(TimestampNanosecondArray::from(options(rng, len, |rng| rng.i64(..))).with_timezone("UTC")),
    }
}

fn lengths(rng: &mut Rng, len: usize) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths((0..len).map(|_| if rng.u8(..) == 0 { 300 } else { rng.usize(0..4) }))
}

fn nulls(rng: &mut Rng, len: usize) -> Option<NullBuffer> {
    rng.bool().then(|| (0..len).map(|_| rng.bool()).collect::<Vec<bool>>().into())
}

fn any_array(rng: &mut Rng, len: usize, depth: usize) -> ArrayRef {
    // Now and then a piece of a longer array, whose buffers do not begin with it.
    if rng.u8(0..3) == 0 {
        let skipped = rng.usize(0..20);
        let more = rng.usize(0..20);
        return any_array(rng, skipped + len + more, depth).slice(skipped, len);
    }
    match rng.u8(0..8) {
        0 if depth < 3 => {
            let offsets = lengths(rng, len);
            let values = any_array(rng, end(&offsets), depth + 1);
            let field = Arc::new(Field::new("element", values.data_type().clone(), true));
            Arc::new(ListArray::new(field, offsets, values, nulls(rng, len)))
        }
        1 if depth < 3 => {
            let columns: Vec<ArrayRef> = (0..rng.usize(0..4)).map(|_| any_array(rng, len, depth + 1)).collect();
            let fields: Fields = columns
                .iter()
                .enumerate()
                .map(|(i, column)| Field::new(format!("f{i}"), column.data_type().clone(), true))
                .collect();
            let table = StructArray::try_new_with_length(fields, columns, nulls(rng, len), len);
            Arc::new(table.expect("all columns have one length"))
        }
        2 => {
            let offsets = lengths(rng, len);
            let DataType::Map(field, _) = map_type() else { unreachable!("a map's type is a map") };
            let DataType::Struct(fields) = field.data_type().clone() else { unreachable!("of entries") };
            let words = |rng: &mut Rng| (0..end(&offsets)).map(|_| text(rng)).collect::<Vec<String>>();
            let columns: Vec<ArrayRef> =
                vec![Arc::new(StringArray::from(words(rng))), Arc::new(StringArray::from(words(rng)))];
            Arc::new(MapArray::new(field, offsets, StructArray::new(fields, columns, None), nulls(rng, len), false))
        }
        _ => leaf_array(rng, len),
    }
}

fn any_table(rng: &mut Rng) -> RecordBatch {
    let rows = [0, 1, rng.usize(0..40), rng.usize(0..300)][rng.usize(0..4)];
    let columns: Vec<ArrayRef> = (0..rng.usize(1..8)).map(|_| any_array(rng, rows, 0)).collect();
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| Field::new(format!("column {i}"), column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("all columns have one length")
}

#[test]
fn tables_of_all_types_read_back() {
    for seed in 0..150 {
        let rng = &mut Rng::with_seed(seed);
        let exemplars = rng.bool().then(|| any_table(rng));
        let (signal, envelopes) = (Signal::Points, rng.bool().then(|| any_table(rng)));
        let batch = Batch { signal, rows: any_table(rng), shared: any_table(rng), envelopes, exemplars };
        round_trip(&batch, &format!("seed {seed}"));
    }
}

#[test]
fn batches_of_all_signals_read_back_whole_and_in_pieces() {
    for seed in 0..50 {
        let rng = &mut Rng::with_seed(seed);
        for signal in Signal::ALL {
            let ids: Vec<String> = (0..rng.usize(1..60)).map(|number| format!("id-{number}")).collect();
            let mut batch = sample::batch(rng, signal, [1; 16], &ids);
            round_trip(&batch, &format!("seed {seed} {signal}"));
            let start = rng.usize(0..ids.len());
            batch.rows = batch.rows.slice(start, rng.usize(0..=ids.len() - start));
            round_trip(&batch, &format!("seed {seed} {signal}, a slice"));
        }
    }
}

#[test]
fn columns_without_a_value_take_no_room() {
    let rows = 100_000;
    let absent = new_null_array(&Int64Type::DATA_TYPE, rows);
    let table = RecordBatch::try_from_iter([("absent", absent)]).expect("one column");
    let empty = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let batch = Batch { signal: Signal::Logs, rows: table, shared: empty, envelopes: None, exemplars: None };
    let mut bytes = Vec::new();
    encode(&batch, &mut bytes).expect("it is encoded");
    assert!(bytes.len() < 30, "{}", bytes.len());
    round_trip(&batch, "an absent column");
}

#[test]
fn garbage_is_an_error_and_nothing_worse() {
    let mut errors = 0;
    for seed in 0..20 {
        let rng = &mut Rng::with_seed(seed);
        let signal = Signal::ALL[rng.usize(0..3)];
        let ids: Vec<String> = (0..rng.usize(1..6)).map(|number| number.to_string()).collect();
        let batch = sample::batch(rng, signal, [1; 16], &ids);
        let mut good = Vec::new();
        encode(&batch, &mut good).expect("it is encoded");
        for len in 0..good.len() {
            assert!(decode(signal, &good[..len]).is_err(), "seed {seed}, cut at {len}");
        }
        for _ in 0..200 {
            let mut bad = good.clone();
            for _ in 0..rng.usize(1..4) {
                let position = rng.usize(..bad.len());
                bad[position] = if rng.bool() { rng.u8(..) } else { bad[position] ^ (1 << rng.u8(..8)) };
            }
            // A changed byte of a value is none of the decoder's business; the checksum finds it.
            errors += usize::from(decode(signal, &bad).is_err());
        }
        let noise: Vec<u8> = (0..rng.usize(..500)).map(|_| rng.u8(..)).collect();
        errors += usize::from(decode(signal, &noise).is_err());
    }
    assert!(errors > 500, "{errors}");
}

#[test]
fn a_short_payload_cannot_ask_for_much_memory() {
    // A table of 2^40 rows with one absent column, and of 2^26 rows with a thousand of them.
    for (rows, columns) in [(1u64 << 40, 1u64), (1 << 26, 1000)] {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, rows);
        put_varint(&mut bytes, columns);
        for _ in 0..columns {
            put_bytes(&mut bytes, b"c");
            bytes.extend([1, 5, ALL_NULL]);
        }
        assert_eq!(decode(Signal::Logs, &bytes).err(), Some(Malformed("too much is left out")));
    }
}
