//! Makes the index of a part from its rows, granule by granule, in memory. Called by the part writer.
//!
//! Tantivy gets one document for each block of rows, which holds the block's distinct words; an id filter for each granule
//! holds what has a digit. Tokens are made distinct here, by their hash and then their bytes, because that costs less than
//! tantivy's own way to the same postings.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::PathBuf;

use arrow::array::{Array as _, ArrayRef, AsArray as _, MapArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::DataType;
use model::attributes::AttributeValue;
use tantivy::directory::{Directory as _, RamDirectory};
use tantivy::index::{Index as TantivyIndex, SegmentComponent};
use tantivy::schema::{BytesOptions, Field, Schema};
use tantivy::{IndexSettings, SingleSegmentIndexWriter, TantivyDocument};

use super::packed::{damaged, pack};
use super::{Home, TermStem, begin_term, filter, home, home_of_text, members, tokenizer};
use crate::limits;
use crate::schema::hash::Quick;
use crate::schema::texts::{Dictionary, Texts};
use crate::schema::{ValueRef, column, is_attribute, typed_value};

/// Name of the field whose terms are the words.
pub(super) const TERM_FIELD: &str = "term";
/// Name of the packed file with the id filters.
pub(super) const FILTERS_FILE: &str = "filters";
/// The files of a segment that tantivy's reader opens.
const COMPONENTS: [SegmentComponent; 6] = [
    SegmentComponent::Terms,
    SegmentComponent::Postings,
    SegmentComponent::Positions,
    SegmentComponent::FieldNorms,
    SegmentComponent::FastFields,
    SegmentComponent::Store,
];
/// Tantivy begins with a term table sized by this, and lets it grow: many parts are small.
const TANTIVY_BYTES: usize = 12 << 20;

/// An index under construction.
pub(crate) struct IndexBuilder {
    directory: RamDirectory,
    words: SingleSegmentIndexWriter<TantivyDocument>,
    field: Field,
    filters: Vec<(filter::Shape, Vec<u8>)>,
    terms: Terms,
    block_rows: usize,
}

impl IndexBuilder {
    /// An index of no rows yet, whose granules have so many: a multiple of the number of their blocks.
    pub(crate) fn new(granule_rows: usize) -> tantivy::Result<Self> {
        let mut schema = Schema::builder();
        let field = schema.add_bytes_field(TERM_FIELD, BytesOptions::default().set_indexed());
        let directory = RamDirectory::create();
        let words = TantivyIndex::builder()
            .schema(schema.build())
            .settings(IndexSettings::default())
            .single_segment_index_writer(directory.clone(), TANTIVY_BYTES)?;
        let block_rows = granule_rows / limits::GRANULE_BLOCKS;
        Ok(Self { directory, words, field, filters: Vec::new(), terms: Terms::default(), block_rows })
    }

    /// Adds the next granule, which has fewer rows only if it is the last one.
    /// Columns of numbers have their texts in `texts`.
    pub(crate) fn add_granule(&mut self, rows: &RecordBatch, texts: &Texts) -> tantivy::Result<()> {
        for start in (0..rows.num_rows()).step_by(self.block_rows) {
            self.terms.begin_block();
            let block = rows.slice(start, self.block_rows.min(rows.num_rows() - start));
            for (field, array) in block.schema_ref().fields().iter().zip(block.columns()) {
                match texts.get(field.name()) {
                    Some(dictionary) => self.terms.add_coded(field.name(), array.as_primitive(), dictionary),
                    None => self.terms.add_column(field.name(), array),
                }
            }
            let mut document = TantivyDocument::new();
            for term in self.terms.block_terms() {
                document.add_bytes(self.field, term);
            }
            self.words.add_document(document)?;
        }
        self.filters.push(filter::build(&mut self.terms.ids));
        self.terms.ids.clear();
        Ok(())
    }

    /// The bytes of `index.bin`.
    pub(crate) fn finish(self) -> tantivy::Result<Vec<u8>> {
        let index = self.words.finalize()?;
        let mut files: Vec<PathBuf> = vec!["meta.json".into()];
        for meta in index.searchable_segment_metas()? {
            files.extend(COMPONENTS.map(|component| meta.relative_path(component)));
        }
        let mut packed = vec![(FILTERS_FILE.to_owned(), encode_filters(&self.filters))];
        for path in files {
            let name = path.to_str().ok_or_else(|| damaged("tantivy named a file with no text"))?.to_owned();
            // A segment without positions may have no file for them.
            if self.directory.exists(&path)? {
                packed.push((name, self.directory.atomic_read(&path)?));
            }
        }
        Ok(pack(&packed))
    }
}

// How many there are; for each its shape and where its table ends, counted from the end of these; then all tables.
fn encode_filters(filters: &[(filter::Shape, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = (filters.len() as u32).to_le_bytes().to_vec();
    let mut end = 0u64;
    for (shape, table) in filters {
        shape.encode(&mut bytes);
        end += table.len() as u64;
        bytes.extend_from_slice(&end.to_le_bytes());
    }
    filters.iter().for_each(|(_, table)| bytes.extend_from_slice(table));
    bytes
}

// The distinct terms of the current block, and the hashes of the ids of the current granule.
#[derive(Default)]
struct Terms {
    // All terms of the block one after the other, and where each begins and ends, by its hash.
    bytes: Vec<u8>,
    known: HashMap<u64, (u32, u32), BuildHasherDefault<HashIsKey>>,
    ends: Vec<u32>,
    ids: Vec<u64>,
    // The column whose texts are at hand, as the beginning of its terms, and its share of their hashes.
    term: Vec<u8>,
    stem: TermStem,
    // Overwritten by each use; kept to save their allocation.
    text: String,
    lower: String,
    seen: Vec<bool>,
}

impl Terms {
    fn begin_block(&mut self) {
        self.bytes.clear();
        self.known.clear();
        self.ends.clear();
    }

    // From here on texts are of this column.
    fn begin(&mut self, column: &str) {
        begin_term(&mut self.term, column);
        self.stem = TermStem::of(&self.term);
    }

    fn block_terms(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start as usize..*end as usize])
    }

    fn add_column(&mut self, name: &str, array: &ArrayRef) {
        match (name, array.data_type()) {
            (column::OVERFLOW | column::ENVELOPE_OVERFLOW, DataType::Map(..)) => self.add_map("", array.as_map()),
            // Of exemplars.
            (column::ATTRIBUTES, DataType::Map(..)) => self.add_map(column::ATTR_PREFIX, array.as_map()),
            (_, DataType::FixedSizeBinary(_)) if home(name, "") == Home::Ids => self.add_binary_ids(name, array),
            (_, DataType::Utf8) if home(name, "") != Home::Nowhere => self.add_texts(name, array.as_string()),
            _ if is_attribute(name) => self.add_typed(name, array),
            _ => {}
        }
    }

    fn add_binary_ids(&mut self, name: &str, array: &ArrayRef) {
        let array = array.as_fixed_size_binary();
        let mut term = std::mem::take(&mut self.term);
        begin_term(&mut term, name);
        let stem = TermStem::of(&term);
        let mut previous: &[u8] = &[];
        for id in array.iter().flatten() {
            if id != previous {
                term.clear();
                term.extend(id.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
                self.ids.extend(members(name, stem.hash(&term)));
                previous = id;
            }
        }
        self.term = term;
    }

    fn add_texts(&mut self, name: &str, array: &StringArray) {
        let all_ids = home(name, "") == Home::Ids;
        // Bodies hardly ever repeat; looking each up would only cost.
        let mut values: Option<HashSet<&str, Quick>> = (name != column::BODY).then(HashSet::default);
        self.begin(name);
        let mut previous = None;
        for text in array.iter().flatten() {
            if previous.replace(text) == Some(text) {
                continue;
            }
            if values.as_mut().is_none_or(|values| values.insert(text)) {
                self.add_text(text, all_ids);
            }
        }
    }

    // Each text once, whoever repeats it.
    fn add_coded(&mut self, name: &str, numbers: &UInt32Array, texts: &Dictionary) {
        if home(name, "") == Home::Nowhere {
            return;
        }
        let all_ids = home(name, "") == Home::Ids;
        self.begin(name);
        let mut seen = std::mem::take(&mut self.seen);
        seen.clear();
        seen.resize(texts.len(), false);
        for number in numbers.iter().flatten() {
            if !std::mem::replace(&mut seen[number as usize], true) {
                self.add_text(texts.text(number), all_ids);
            }
        }
        self.seen = seen;
    }

    fn add_typed(&mut self, name: &str, array: &ArrayRef) {
        self.begin(name);
        let mut text = std::mem::take(&mut self.text);
        let mut known: HashSet<u64, Quick> = HashSet::default();
        for row in 0..array.len() {
            let Some(value) = typed_value(array, row) else { continue };
            let bits = match value {
                ValueRef::Int(value) => Some(value as u64),
                ValueRef::Double(value) => Some(value.to_bits()),
                ValueRef::Bool(value) => Some(u64::from(value)),
                _ => None,
            };
            if bits.is_some_and(|bits| !known.insert(bits)) {
                continue;
            }
            text.clear();
            match value {
                // Writing into a String cannot fail.
                ValueRef::Int(value) => _ = write!(text, "{value}"),
                value => text.push_str(&value.to_owned().to_text()),
            }
            self.add_text(&text, false);
        }
        self.text = text;
    }

    fn add_map(&mut self, prefix: &str, maps: &MapArray) {
        let (keys, values): (&StringArray, &StringArray) = (maps.keys().as_string(), maps.values().as_string());
        let ends = maps.value_offsets();
        // Rows of one resource repeat its entries. A sender decides how many there are and what they say: these alone are
        // hashed with a key.
        let mut known: HashSet<(&str, &str)> = HashSet::new();
        for entry in ends[0] as usize..ends[ends.len() - 1] as usize {
            if !known.insert((keys.value(entry), values.value(entry))) {
                continue;
            }
            let key = [prefix, keys.value(entry)].concat();
            let json = serde_json::from_str(values.value(entry));
            if let Some(value) =
                json.ok().filter(|_| is_attribute(&key)).and_then(|json| AttributeValue::from_otlp_json(&json))
            {
                self.begin(&key);
                self.add_text(&value.to_text(), false);
            }
        }
    }

    // Adds the tokens of a text to the column that the term begins with.
    fn add_text(&mut self, text: &str, all_ids: bool) {
        let Terms { bytes, known, ends, ids, term, stem, lower, .. } = self;
        let start = term.len();
        tokenizer::each_token(text, lower, |token| {
            let token = tokenizer::indexed(token);
            let hash = stem.hash(token.as_bytes());
            if all_ids || home_of_text(token) == Home::Ids {
                ids.push(hash);
                return;
            }
            term.truncate(start);
            term.extend_from_slice(token.as_bytes());
            let known = known.entry(hash).or_insert((u32::MAX, u32::MAX));
            // Of two terms with one hash the second is handed to tantivy each time, which knows what to do with it.
            if known.0 == u32::MAX || bytes[known.0 as usize..known.1 as usize] != **term {
                let begin = bytes.len() as u32;
                bytes.extend_from_slice(term);
                *known = (begin, bytes.len() as u32);
                ends.push(bytes.len() as u32);
            }
        });
        term.truncate(start);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

// Hashes are already evenly spread: a table that hashed them again would only take longer.
#[derive(Default)]
struct HashIsKey(u64);

impl Hasher for HashIsKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
