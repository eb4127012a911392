//! OTLP/JSON export requests from rows: grouped by equal resource and scope, in the order in which they first appear.
//!
//! What is sent back to a server in this form is stored as equal records: times that the server had filled in are 0 again.

use std::collections::HashMap;

use model::Signal;
use serde_json::{Map, Value};

use crate::rows::envelope::Envelope;

/// A request under construction.
#[derive(Debug)]
pub struct Request {
    signal: Signal,
    resources: Vec<Resource>,
    by_resource: HashMap<(Value, String), usize>,
}

#[derive(Debug)]
struct Resource {
    resource: Value,
    schema_url: String,
    scopes: Vec<Scope>,
    by_scope: HashMap<(Value, String), usize>,
}

#[derive(Debug)]
struct Scope {
    scope: Value,
    schema_url: String,
    items: Vec<Value>,
    // Of points: the metrics' positions in `items`.
    by_metric: HashMap<Value, usize>,
}

impl Request {
    /// An empty request.
    pub fn new(signal: Signal) -> Self {
        Self { signal, resources: Vec::new(), by_resource: HashMap::new() }
    }

    /// Adds a log record or span.
    pub fn push(&mut self, envelope: Envelope, item: Value) {
        self.scope(envelope).items.push(item);
    }

    /// Adds a data point to its metric; `kind` names the metric's field for points.
    pub fn push_point(&mut self, envelope: Envelope, metric: Value, kind: &str, point: Value) {
        let scope = self.scope(envelope);
        let position = *scope.by_metric.entry(metric).or_insert_with_key(|metric| {
            scope.items.push(metric.clone());
            scope.items.len() - 1
        });
        let points = &mut scope.items[position][kind]["dataPoints"];
        match points {
            Value::Array(points) => points.push(point),
            missing => *missing = Value::Array(vec![point]),
        }
    }

    /// The finished request.
    pub fn finish(self) -> Value {
        let (resources, scopes, items) = match self.signal {
            Signal::Logs => ("resourceLogs", "scopeLogs", "logRecords"),
            Signal::Spans => ("resourceSpans", "scopeSpans", "spans"),
            Signal::Points => ("resourceMetrics", "scopeMetrics", "metrics"),
        };
        let list = self.resources.into_iter().map(|resource| {
            let inner = resource.scopes.into_iter();
            let inner = inner.map(|scope| object("scope", scope.scope, items, scope.items, scope.schema_url)).collect();
            object("resource", resource.resource, scopes, inner, resource.schema_url)
        });
        let list = list.collect();
        Value::Object(Map::from_iter([(resources.to_owned(), Value::Array(list))]))
    }

    fn scope(&mut self, envelope: Envelope) -> &mut Scope {
        let key = (envelope.resource, envelope.resource_schema_url);
        let position = *self.by_resource.entry(key).or_insert_with_key(|(resource, schema_url)| {
            let (resource, schema_url) = (resource.clone(), schema_url.clone());
            self.resources.push(Resource { resource, schema_url, scopes: Vec::new(), by_scope: HashMap::new() });
            self.resources.len() - 1
        });
        let resource = &mut self.resources[position];
        let key = (envelope.scope, envelope.scope_schema_url);
        let position = *resource.by_scope.entry(key).or_insert_with_key(|(scope, schema_url)| {
            let (scope, schema_url) = (scope.clone(), schema_url.clone());
            resource.scopes.push(Scope { scope, schema_url, items: Vec::new(), by_metric: HashMap::new() });
            resource.scopes.len() - 1
        });
        &mut resource.scopes[position]
    }
}

fn object(name: &str, head: Value, list_name: &str, list: Vec<Value>, schema_url: String) -> Value {
    let mut object = Map::new();
    object.insert(name.to_owned(), head);
    object.insert(list_name.to_owned(), Value::Array(list));
    if !schema_url.is_empty() {
        object.insert("schemaUrl".to_owned(), Value::String(schema_url));
    }
    Value::Object(object)
}
