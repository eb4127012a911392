//! Words: how text becomes tokens, and the index that narrows a search to blocks of rows.

pub mod tokenizer;
