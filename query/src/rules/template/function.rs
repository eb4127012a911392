//! The functions of templates by their names: what they take, and who does the work. Go's own stand in `builtin`,
//! Prometheus's in `prometheus`.

use super::value::Value;
use super::{Data, Query, builtin, prometheus};

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Any,
    Text,
    Vector,
    Sample,
    Moment,
    Duration,
}

impl Type {
    /// Go's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Type::Any => "interface {}",
            Type::Text => "string",
            Type::Vector => "template.queryResult",
            Type::Sample => "*template.sample",
            Type::Moment => "time.Time",
            Type::Duration => "time.Duration",
        }
    }

    /// Whether a value is of this type.
    pub fn takes(self, value: &Value) -> bool {
        match self {
            Type::Any => true,
            Type::Text => matches!(value, Value::Text(_)),
            Type::Vector => matches!(value, Value::Vector(_)),
            Type::Sample => matches!(value, Value::Sample(_)),
            Type::Moment => matches!(value, Value::Moment(_)),
            Type::Duration => matches!(value, Value::Duration(_)),
        }
    }

    /// What `nil` is where this is asked for.
    pub fn nil(self) -> Option<Value> {
        match self {
            Type::Any => Some(Value::Nothing),
            Type::Vector => Some(Value::Vector([].into())),
            Type::Sample => Some(Value::Sample(None)),
            Type::Text | Type::Moment | Type::Duration => None,
        }
    }
}

/// What functions know besides their arguments.
pub struct Context<'a> {
    pub data: &'a Data<'a>,
    pub query: &'a dyn Query,
    /// How many queries there have been.
    pub queries: usize,
    /// Steps that the last function took beyond one.
    pub cost: usize,
}

/// What a function does.
pub type Run = fn(&mut Context<'_>, &[Value]) -> Result<Value, String>;

/// A function.
pub struct Function {
    pub name: &'static str,
    pub fixed: &'static [Type],
    pub rest: Option<Type>,
    pub run: Run,
    /// Of `and` and `or`: the truth value that ends them.
    pub short_circuit: Option<bool>,
}

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

const fn function(name: &'static str, fixed: &'static [Type], rest: Option<Type>, run: Run) -> Function {
    Function { name, fixed, rest, run, short_circuit: None }
}

const ANY: Option<Type> = Some(Type::Any);

const FUNCTIONS: &[Function] = &[
    // `and` and `or` never get here: they evaluate their arguments themselves.
    Function { short_circuit: Some(false), ..function("and", &[Type::Any], ANY, builtin::first) },
    Function { short_circuit: Some(true), ..function("or", &[Type::Any], ANY, builtin::first) },
    function("not", &[Type::Any], None, builtin::not),
    function("call", &[Type::Any], ANY, builtin::call),
    function("len", &[Type::Any], None, builtin::len),
    function("index", &[Type::Any], ANY, builtin::index),
    function("slice", &[Type::Any], ANY, builtin::slice),
    function("print", &[], ANY, builtin::print),
    function("printf", &[Type::Text], ANY, builtin::printf),
    function("println", &[], ANY, builtin::println),
    function("html", &[], ANY, builtin::html),
    function("js", &[], ANY, builtin::js),
    function("urlquery", &[], ANY, builtin::urlquery),
    function("eq", &[Type::Any], ANY, builtin::eq),
    function("ne", &[Type::Any, Type::Any], None, builtin::ne),
    function("lt", &[Type::Any, Type::Any], None, builtin::lt),
    function("le", &[Type::Any, Type::Any], None, builtin::le),
    function("gt", &[Type::Any, Type::Any], None, builtin::gt),
    function("ge", &[Type::Any, Type::Any], None, builtin::ge),
    function("query", &[Type::Text], None, prometheus::query),
    function("first", &[Type::Vector], None, prometheus::first),
    function("label", &[Type::Text, Type::Sample], None, prometheus::label),
    function("value", &[Type::Sample], None, prometheus::value),
    function("strvalue", &[Type::Sample], None, prometheus::strvalue),
    function("sortByLabel", &[Type::Text, Type::Vector], None, prometheus::sort_by_label),
    function("args", &[], ANY, prometheus::args),
    function("reReplaceAll", &[Type::Text, Type::Text, Type::Text], None, prometheus::replace_all),
    function("match", &[Type::Text, Type::Text], None, prometheus::matches),
    function("safeHtml", &[Type::Text], None, prometheus::safe_html),
    function("title", &[Type::Text], None, prometheus::title),
    function("toUpper", &[Type::Text], None, prometheus::to_upper),
    function("toLower", &[Type::Text], None, prometheus::to_lower),
    function("graphLink", &[Type::Text], None, prometheus::graph_link),
    function("tableLink", &[Type::Text], None, prometheus::table_link),
    function("stripPort", &[Type::Text], None, prometheus::strip_port),
    function("stripDomain", &[Type::Text], None, prometheus::strip_domain),
    function("humanize", &[Type::Any], None, prometheus::humanize),
    function("humanize1024", &[Type::Any], None, prometheus::humanize_1024),
    function("humanizeDuration", &[Type::Any], None, prometheus::humanize_duration),
    function("humanizePercentage", &[Type::Any], None, prometheus::humanize_percentage),
    function("humanizeTimestamp", &[Type::Any], None, prometheus::humanize_timestamp),
    function("toTime", &[Type::Any], None, prometheus::to_time),
    function("toDuration", &[Type::Any], None, prometheus::to_duration),
    function("now", &[], None, prometheus::now),
    function("parseDuration", &[Type::Text], None, prometheus::parse_duration),
    function("pathPrefix", &[], None, prometheus::path_prefix),
    function("externalURL", &[], None, prometheus::external_url),
    function("urlQueryEscape", &[Type::Text], None, prometheus::url_query_escape),
];
