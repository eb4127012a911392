//! `format_query` and `parse_query`: what an expression looks like, for editors.

use serde_json::Value;

use super::{Params, PromError, Reply};
use crate::promql;

pub(super) async fn format_query(params: Params) -> Result<Reply<String>, PromError> {
    let formatted = promql::format(params.text("query"));
    formatted.map(Reply::plain).map_err(|error| PromError::of_query("query", &error))
}

pub(super) async fn parse_query(params: Params) -> Result<Reply<Value>, PromError> {
    let tree = promql::tree(params.text("query"));
    tree.map(Reply::plain).map_err(|error| PromError::of_query("query", &error))
}
