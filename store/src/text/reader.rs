//! Asks the index of a part which of its rows can hold a token. Called by `scan`; whoever finds the index missing or damaged
//! reads every row instead.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use tantivy::index::{InvertedIndexReader, SegmentReader};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet as _, TERMINATED, Term};

use super::filter::{SHAPE_BYTES, Shape};
use super::packed::{Packed, PackedDirectory, PackedFile, damaged};
use super::writer::{FILTERS_FILE, TERM_FIELD};
use super::{Home, begin_term, home, members, term_hash, tokenizer};
use crate::disk::ReadFile;
use crate::limits;

/// Blocks of a granule: one bit each in the masks below.
const GRANULE_BLOCKS: u32 = limits::GRANULE_BLOCKS as u32;
const _: () = assert!(GRANULE_BLOCKS == u8::BITS);

/// An open index. Its words' dictionary is in memory, everything else is read when it is asked for.
pub(crate) struct Index {
    field: Field,
    words: Option<Arc<InvertedIndexReader>>,
    // By granule: the shape, and where in the file its table begins.
    filters: Vec<(Shape, u64)>,
}

impl Index {
    /// Opens and checks an `index.bin`: the whole file is read once. The index keeps `file` to read on from.
    pub(crate) fn open(file: Arc<dyn ReadFile>) -> Result<Index, tantivy::TantivyError> {
        let packed = Packed::open(file)?;
        let filters = packed.file(FILTERS_FILE).ok_or_else(|| damaged("it has no filters"))?;
        let filters = read_filters(&filters)?;
        let index = tantivy::Index::open(PackedDirectory(packed))?;
        let field = index.schema().get_field(TERM_FIELD)?;
        let words = match index.searchable_segments()?.first() {
            Some(segment) => Some(SegmentReader::open(segment)?.inverted_index(field)?),
            None => None,
        };
        Ok(Index { field, words, filters })
    }

    /// Which blocks can hold the token in the column: a mask for each granule, the lowest bit is its first block. Masks of
    /// granules that are not `wanted` may be anything. `None` if the index does not know the column. `file` is the index's,
    /// open: a filter is asked in several places of it.
    pub(crate) fn blocks(
        &self,
        file: &dyn ReadFile,
        column: &str,
        token: &str,
        wanted: &[bool],
    ) -> io::Result<Option<Vec<u8>>> {
        let mut term = Vec::new();
        begin_term(&mut term, column);
        term.extend_from_slice(tokenizer::indexed(token).as_bytes());
        match home(column, token) {
            Home::Nowhere => Ok(None),
            Home::Words => self.word_blocks(&term, wanted.len()).map(Some),
            Home::Ids => {
                self.id_blocks(file, &members(column, term_hash(&term)).collect::<Vec<u64>>(), wanted).map(Some)
            }
        }
    }

    fn word_blocks(&self, term: &[u8], granules: usize) -> io::Result<Vec<u8>> {
        let mut masks = vec![0; granules];
        let term = Term::from_field_bytes(self.field, term);
        let Some(words) = &self.words else { return Ok(masks) };
        let Some(mut postings) = words.read_postings(&term, IndexRecordOption::Basic)? else { return Ok(masks) };
        let mut block = postings.doc();
        while block != TERMINATED {
            if let Some(mask) = masks.get_mut((block / GRANULE_BLOCKS) as usize) {
                *mask |= 1 << (block % GRANULE_BLOCKS);
            }
            block = postings.advance();
        }
        Ok(masks)
    }

    fn id_blocks(&self, file: &dyn ReadFile, members: &[u64], wanted: &[bool]) -> io::Result<Vec<u8>> {
        let mut masks = vec![0; wanted.len()];
        for ((granule, mask), (shape, table)) in masks.iter_mut().enumerate().zip(&self.filters) {
            let read = |range: Range<usize>| {
                let mut bytes = vec![0; range.len()];
                file.read_at(table + range.start as u64, &mut bytes).map(|()| bytes)
            };
            let mut may_contain = wanted[granule];
            for member in members {
                may_contain = may_contain && shape.may_contain(*member, read)?;
            }
            if may_contain {
                *mask = u8::MAX;
            }
        }
        Ok(masks)
    }

    /// Bytes that it takes in memory, roughly: the filters' places; the words stay in the file, but for tantivy's own book-keeping.
    pub(crate) fn memory_bytes(&self) -> usize {
        const TANTIVY_BYTES: usize = 16 << 10;
        TANTIVY_BYTES + self.filters.len() * size_of::<(Shape, u64)>()
    }

    /// For how many granules the index was made.
    pub(crate) fn granules(&self) -> usize {
        self.filters.len()
    }
}

fn read_filters(file: &PackedFile) -> io::Result<Vec<(Shape, u64)>> {
    const ENTRY: usize = SHAPE_BYTES + 8;
    let mut count = [0; 4];
    file.read_at(0, &mut count)?;
    let count = u32::from_le_bytes(count) as usize;
    let mut entries = vec![0; count * ENTRY];
    file.read_at(4, &mut entries)?;
    let tables = file.start() + (4 + entries.len()) as u64;
    let mut filters = Vec::with_capacity(count);
    let mut start = 0;
    for entry in entries.as_chunks::<ENTRY>().0 {
        let shape = entry.first_chunk().and_then(Shape::decode).ok_or_else(|| damaged("a filter has no such shape"))?;
        let end = entry.last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
        if end.checked_sub(start) != Some(shape.table_bytes() as u64) {
            return Err(damaged("a filter has another size than its shape"));
        }
        filters.push((shape, tables + start));
        start = end;
    }
    Ok(filters)
}
