//! Dictionaries of texts: columns whose values are few hold a number for each row, and the texts stand here once. That is how rows
//! go from chunks, or from parts that are merged, into the file and the index of a part: four bytes are moved for a row instead of a
//! text, and a text is hashed once where it comes in.
//!
//! Files know nothing of it: they have texts, with dictionaries of their own.

use std::collections::HashMap;
use std::hash::RandomState;

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Int32Type};
use foldhash::quality::FixedState;

/// The texts of one column. Numbers are given in the order in which texts come.
#[derive(Debug)]
pub(crate) struct Dictionary {
    texts: String,
    ends: Vec<usize>,
    numbers: HashMap<Box<str>, u32, FixedState>,
}

impl Default for Dictionary {
    fn default() -> Self {
        use std::hash::BuildHasher as _;
        // Senders choose the texts: of its own for each, so that nobody can make them meet on purpose.
        let state = FixedState::with_seed(RandomState::new().hash_one(0));
        Self { texts: String::new(), ends: Vec::new(), numbers: HashMap::with_hasher(state) }
    }
}

impl Dictionary {
    /// The number of a text, new or known.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.ends.len()).expect("its texts come from rows, whose places have 32 bits");
        self.texts.push_str(text);
        self.ends.push(self.texts.len());
        self.numbers.insert(text.into(), number);
        number
    }

    /// The text with a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        let place = number as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start..self.ends[place]]
    }

    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all texts, and of what tells one from the next.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len() + size_of::<u32>() * self.ends.len()
    }

    /// The numbers of these texts; `None` as soon as all texts would take more than `bytes_max`.
    pub(crate) fn encode(&mut self, texts: &StringArray, bytes_max: usize) -> Option<UInt32Array> {
        let mut last: Option<(&str, u32)> = None;
        let mut numbers = Vec::with_capacity(texts.len());
        for row in 0..texts.len() {
            if texts.is_null(row) {
                numbers.push(0);
                continue;
            }
            let text = texts.value(row);
            let number = match last {
                Some((known, number)) if known == text => number,
                _ => self.number(text),
            };
            if self.bytes() > bytes_max {
                return None;
            }
            last = Some((text, number));
            numbers.push(number);
        }
        Some(UInt32Array::new(numbers.into(), texts.nulls().cloned()))
    }

    /// The numbers of a column of texts, or of a reader's dictionary of them.
    pub(crate) fn encode_any(&mut self, array: &ArrayRef, bytes_max: usize) -> Option<UInt32Array> {
        let DataType::Dictionary(..) = array.data_type() else {
            return self.encode(array.as_string(), bytes_max);
        };
        let array = array.as_dictionary::<Int32Type>();
        let values = self.encode(array.values().as_string(), bytes_max)?;
        let values = values.values();
        // Of a row without a text the number may be anything.
        let numbers = array.keys().values().iter().map(|key| values.get(*key as usize).copied().unwrap_or(0));
        Some(UInt32Array::new(numbers.collect::<Vec<u32>>().into(), array.nulls().cloned()))
    }
}

/// The dictionaries of those columns that have one.
#[derive(Debug, Default)]
pub(crate) struct Texts(HashMap<String, Dictionary>);

impl Texts {
    /// Of a column.
    pub(crate) fn get(&self, column: &str) -> Option<&Dictionary> {
        self.0.get(column)
    }

    /// Of a column, made if there is none.
    pub(crate) fn entry(&mut self, column: &str) -> &mut Dictionary {
        if !self.0.contains_key(column) {
            self.0.insert(column.to_owned(), Dictionary::default());
        }
        self.0.get_mut(column).expect("it was just made")
    }

    /// Takes one in.
    pub(crate) fn insert(&mut self, column: &str, dictionary: Dictionary) {
        self.0.insert(column.to_owned(), dictionary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_by_their_numbers() {
        let mut dictionary = Dictionary::default();
        let texts = StringArray::from(vec![Some("a"), None, Some(""), Some("a"), Some("ü"), Some("")]);
        let numbers = dictionary.encode(&texts, 1 << 10).expect("they are few");
        let back: Vec<Option<&str>> =
            numbers.iter().map(|number| number.map(|number| dictionary.text(number))).collect();
        assert_eq!(back, texts.iter().collect::<Vec<_>>());
        assert_eq!((dictionary.len(), numbers.null_count()), (3, 1));
        assert_eq!(dictionary.encode(&StringArray::from(vec!["x".repeat(1 << 10)]), 1 << 10), None);
    }

    #[test]
    fn the_dictionary_of_a_reader_is_mapped() {
        let keys = arrow::array::Int32Array::from(vec![Some(1), None, Some(0), Some(1)]);
        let values = StringArray::from(vec!["b", "c"]);
        let array = arrow::array::DictionaryArray::<Int32Type>::new(keys, std::sync::Arc::new(values));
        let array: ArrayRef = std::sync::Arc::new(array);
        let mut dictionary = Dictionary::default();
        dictionary.number("a");
        let numbers = dictionary.encode_any(&array, 1 << 10).expect("they are few");
        let back: Vec<Option<&str>> =
            numbers.iter().map(|number| number.map(|number| dictionary.text(number))).collect();
        assert_eq!(back, [Some("c"), None, Some("b"), Some("c")]);
    }
}
