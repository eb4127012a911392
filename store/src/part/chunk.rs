//! A column chunk of a Parquet file whose values are numbers of a dictionary: written page by page without looking at a text.
//! Parquet's own writer hashes and compares every value to find its number; where the number is known, a page is a matter of packing
//! bits.
//!
//! What comes out is what any writer of Parquet writes for a column with a dictionary: a dictionary page, and data pages of
//! version 1 with definition levels and keys, both in runs (RLE and bit-packed). A page is a granule.

use std::io;

use arrow::array::{Array as _, UInt32Array};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter as _};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::schema::texts::Dictionary;
use crate::wal::put_varint;

// No number of this row group yet.
const UNSEEN: u32 = u32::MAX;

/// A chunk under construction.
pub(super) struct CodedChunk {
    column: ColumnDescPtr,
    pages: Vec<DataPage>,
    // Numbers of the row group's dictionary by those of the column's, and the other way round.
    numbers: Vec<u32>,
    texts: Vec<u32>,
}

struct DataPage {
    compressed: Vec<u8>,
    bytes: usize,
    rows: u32,
}

impl CodedChunk {
    pub(super) fn new(column: ColumnDescPtr) -> Self {
        Self { column, pages: Vec::new(), numbers: Vec::new(), texts: Vec::new() }
    }

    /// Compressed bytes of the pages so far.
    pub(super) fn compressed_bytes(&self) -> usize {
        self.pages.iter().map(|page| page.compressed.len()).sum()
    }

    /// Adds a page of so many rows.
    pub(super) fn write(&mut self, rows: &UInt32Array, texts: &Dictionary, zstd: &mut Zstd) -> io::Result<()> {
        self.numbers.resize(texts.len(), UNSEEN);
        let mut keys = Vec::with_capacity(rows.len());
        for number in rows.iter().flatten() {
            let key = &mut self.numbers[number as usize];
            if *key == UNSEEN {
                *key = self.texts.len() as u32;
                self.texts.push(number);
            }
            keys.push(*key);
        }
        let mut page = vec![0; 4];
        match rows.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => hybrid(std::iter::repeat_n(1, rows.len()), 1, &mut page),
            Some(nulls) => hybrid(nulls.iter().map(u32::from), 1, &mut page),
        }
        let levels = (page.len() - 4) as u32;
        page[..4].copy_from_slice(&levels.to_le_bytes());
        let width = bits(self.texts.len());
        page.push(width);
        hybrid(keys.into_iter(), width, &mut page);
        let compressed = zstd.compress(&page)?;
        self.pages.push(DataPage { compressed, bytes: page.len(), rows: rows.len() as u32 });
        Ok(())
    }

    /// The bytes of the chunk, and what the file says of it.
    pub(super) fn finish(
        self,
        texts: &Dictionary,
        zstd: &mut Zstd,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let mut dictionary = Vec::new();
        for number in &self.texts {
            let text = texts.text(*number);
            dictionary.extend_from_slice(&(text.len() as u32).to_le_bytes());
            dictionary.extend_from_slice(text.as_bytes());
        }
        let mut sink = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut sink);
        let page = Page::DictionaryPage {
            buf: zstd.compress(&dictionary)?.into(),
            num_values: self.texts.len() as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let first = writer.write_page(CompressedPage::new(page, dictionary.len()))?;
        let (mut bytes, mut plain_bytes) = (first.compressed_size as i64, first.uncompressed_size as i64);
        let mut places = OffsetIndexBuilder::new();
        let mut rows = 0;
        for page in self.pages {
            let data = Page::DataPage {
                buf: page.compressed.into(),
                num_values: page.rows,
                encoding: Encoding::RLE_DICTIONARY,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let spec = writer.write_page(CompressedPage::new(data, page.bytes))?;
            places.append_row_count(page.rows.into());
            places.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
            bytes += spec.compressed_size as i64;
            plain_bytes += spec.uncompressed_size as i64;
            rows += u64::from(page.rows);
        }
        writer.close()?;
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_num_values(rows as i64)
            .set_total_compressed_size(bytes)
            .set_total_uncompressed_size(plain_bytes)
            .set_dictionary_page_offset(Some(first.offset as i64))
            .set_data_page_offset(first.offset as i64 + first.compressed_size as i64)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes as u64,
            rows_written: rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(places.build()),
        };
        Ok((sink.into_inner()?.into(), close))
    }
}

/// Zstd's level, everywhere in parts.
pub(super) const LEVEL: i32 = 1;

/// A compressor that is made once for many pages.
pub(super) struct Zstd(Compressor<'static>);

impl Zstd {
    pub(super) fn new() -> io::Result<Self> {
        Compressor::new(LEVEL).map(Self)
    }

    fn compress(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.0.compress(bytes)
    }
}

// Bits that numbers below `count` take.
fn bits(count: usize) -> u8 {
    (usize::BITS - count.saturating_sub(1).leading_zeros()) as u8
}

// Numbers in Parquet's hybrid of runs: `varint(length << 1) value` for one that repeats, `varint(groups << 1 | 1)` and groups of
// eight with so many bits each for those that do not.
fn hybrid(numbers: impl Iterator<Item = u32>, width: u8, out: &mut Vec<u8>) {
    let mut numbers = numbers.peekable();
    // What is to be packed: whole groups, but for the last.
    let mut packed: Vec<u32> = Vec::new();
    while let Some(value) = numbers.next() {
        if !packed.len().is_multiple_of(8) {
            packed.push(value);
            continue;
        }
        let mut length = 1;
        while numbers.next_if_eq(&value).is_some() {
            length += 1;
        }
        if length >= 8 || (packed.is_empty() && numbers.peek().is_none()) {
            pack(&mut packed, width, out);
            put_varint(out, length << 1);
            let bytes = usize::from(width).div_ceil(8);
            out.extend_from_slice(&value.to_le_bytes()[..bytes]);
        } else {
            packed.extend(std::iter::repeat_n(value, length as usize));
        }
    }
    pack(&mut packed, width, out);
}

fn pack(numbers: &mut Vec<u32>, width: u8, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    // Readers know how many rows a page has.
    numbers.resize(numbers.len().next_multiple_of(8), 0);
    put_varint(out, (numbers.len() as u64 / 8) << 1 | 1);
    let (mut buffer, mut filled) = (0u64, 0);
    for number in numbers.drain(..) {
        buffer |= u64::from(number) << filled;
        filled += u32::from(width);
        while filled >= 8 {
            out.push(buffer as u8);
            buffer >>= 8;
            filled -= 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reads what `hybrid` wrote, as the format's page describes it.
    fn read(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let (byte, rest) = bytes.split_first().expect("a header");
                bytes = rest;
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let (value, rest) = bytes.split_at(usize::from(width).div_ceil(8));
                bytes = rest;
                let value = value.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
                numbers.extend(std::iter::repeat_n(value, (header >> 1) as usize));
            } else {
                let (packed, rest) = bytes.split_at((header >> 1) as usize * usize::from(width));
                bytes = rest;
                let bit = |place: usize| u32::from(packed[place / 8] >> (place % 8) & 1);
                let number = |place: usize| {
                    (0..usize::from(width)).map(|of| bit(place * usize::from(width) + of) << of).sum::<u32>()
                };
                numbers.extend((0..(header >> 1) as usize * 8).map(number));
            }
        }
        assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
        numbers.truncate(count);
        numbers
    }

    #[test]
    fn numbers_are_read_back() {
        let mut random = fastrand::Rng::with_seed(5);
        for round in 0..2_000 {
            let width = random.u8(0..=17);
            let mut numbers = Vec::new();
            for _ in 0..random.usize(0..40) {
                let value = if width == 0 { 0 } else { random.u32(0..1 << width) };
                let length = if random.bool() { 1 } else { random.usize(1..30) };
                numbers.extend(std::iter::repeat_n(value, length));
            }
            let mut bytes = Vec::new();
            hybrid(numbers.iter().copied(), width, &mut bytes);
            assert_eq!(read(&bytes, width, numbers.len()), numbers, "round {round}");
        }
    }

    #[test]
    fn bits_of_numbers() {
        for (count, expected) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9)] {
            assert_eq!(bits(count), expected, "{count}");
        }
    }
}
