//! The walk over a template's tree. Complaints name the node that was looked at last, as Go's do.

use std::rc::Rc;

use super::function::{self, Context, Function, Type};
use super::limits::{DEPTH_MAX, OUTPUT_BYTES_MAX, STEPS_MAX, TEXT_BYTES_TOTAL_MAX};
use super::method;
use super::print;
use super::quote::quote;
use super::tree::{Branch, Call, Command, List, Node, Number, Operand, Pipe, Term, Trees};
use super::value::Value;

/// Executes the template `name` of `trees`, which were parsed from `text`, on `dot`.
pub fn execute(
    name: &str,
    text: &str,
    trees: &Trees,
    dot: Value,
    known: Vec<(&str, Value)>,
    context: Context<'_>,
) -> Result<String, String> {
    let mut variables = vec![("$", dot.clone())];
    variables.extend(known);
    let mut run = Run {
        name,
        text,
        trees,
        context,
        executing: name,
        at: None,
        variables,
        out: String::new(),
        steps: 0,
        made: 0,
        depth: 0,
    };
    match trees.get(name) {
        Some(list) => run.list(&dot, list)?,
        None => return run.fail(format!("{} is an incomplete or empty template", quote(name))),
    };
    Ok(run.out)
}

// A place in the tree: where it begins, and how it is written.
#[derive(Clone, Copy)]
enum At<'t> {
    Pipe(&'t Pipe),
    Command(&'t Command),
    Operand(&'t Operand),
    Call(&'t Call),
}

// Where execution goes on after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

// What a call is given.
struct Given<'t> {
    arguments: &'t [Operand],
    // The value of the command before in the pipeline.
    last: Option<Value>,
}

impl Given<'_> {
    const NONE: Given<'static> = Given { arguments: &[], last: None };

    fn is_empty(&self) -> bool {
        self.arguments.is_empty() && self.last.is_none()
    }
}

struct Run<'t> {
    name: &'t str,
    text: &'t str,
    trees: &'t Trees,
    context: Context<'t>,
    // The template that is being executed.
    executing: &'t str,
    at: Option<At<'t>>,
    variables: Vec<(&'t str, Value)>,
    out: String,
    steps: usize,
    // Bytes of the texts that functions have made.
    made: usize,
    depth: usize,
}

type Evaluated<T> = Result<T, String>;

impl<'t> Run<'t> {
    fn fail<T>(&self, message: impl std::fmt::Display) -> Evaluated<T> {
        let (at, written) = match self.at {
            None => return Err(format!("template: {}: {message}", self.name)),
            Some(At::Pipe(pipe)) => (pipe.at, pipe.to_string()),
            Some(At::Command(command)) => (command.at, command.to_string()),
            Some(At::Operand(operand)) => (operand.at, operand.to_string()),
            Some(At::Call(call)) => (call.at, call.to_string()),
        };
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = at - before.rfind('\n').map_or(0, |newline| newline + 1);
        let executing = quote(self.executing);
        Err(format!("template: {}:{line}:{column}: executing {executing} at <{written}>: {message}", self.name))
    }

    fn charge(&mut self, steps: usize) -> Evaluated<()> {
        self.steps += steps;
        if self.steps > STEPS_MAX {
            return self.fail(format!("more than {STEPS_MAX} steps"));
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Evaluated<()> {
        if self.out.len() + text.len() > OUTPUT_BYTES_MAX {
            return self.fail(format!("output of more than {OUTPUT_BYTES_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Evaluated<T>) -> Evaluated<T> {
        if self.depth == DEPTH_MAX {
            return self.fail(format!("exceeded maximum template depth ({DEPTH_MAX})"));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn list(&mut self, dot: &Value, list: &'t List) -> Evaluated<Flow> {
        self.deeper(|run| {
            for node in list {
                let flow = run.node(dot, node)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
            }
            Ok(Flow::On)
        })
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Evaluated<Flow> {
        self.charge(1)?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.at = Some(At::Pipe(pipe));
                    self.write(&print::printed(&[value]))?;
                }
            }
            Node::If(branch) => return self.branch(dot, branch, false),
            Node::With(branch) => return self.branch(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template(call) => self.call_template(dot, call)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, dot: &Value, branch: &'t Branch, moves_dot: bool) -> Evaluated<Flow> {
        let visible = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let flow = match (value.is_true(), moves_dot) {
            (true, true) => self.list(&value, &branch.body)?,
            (true, false) => self.list(dot, &branch.body)?,
            (false, _) => self.list(dot, &branch.otherwise)?,
        };
        self.variables.truncate(visible);
        Ok(flow)
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Evaluated<Flow> {
        let visible = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let inner = self.variables.len();
        let mut index = 0;
        while let Some((key, item)) = entry(&value, index) {
            self.charge(1)?;
            self.set_loop_variables(&branch.pipe, key, &item, inner)?;
            let flow = self.list(&item, &branch.body)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
            index += 1;
        }
        if index == 0 && entry(&value, 0).is_none() {
            if !is_iterable(&value) {
                return self.fail(format!("range can't iterate over {}", print::printed(&[value])));
            }
            let flow = self.list(dot, &branch.otherwise)?;
            self.variables.truncate(visible);
            return Ok(flow);
        }
        self.variables.truncate(visible);
        Ok(Flow::On)
    }

    fn set_loop_variables(&mut self, pipe: &'t Pipe, key: Value, item: &Value, inner: usize) -> Evaluated<()> {
        let values = match pipe.variables.len() {
            0 => vec![],
            1 => vec![item.clone()],
            _ => vec![key, item.clone()],
        };
        let declared = inner - pipe.variables.len();
        for (index, (name, value)) in pipe.variables.iter().zip(values).enumerate() {
            if pipe.assigns {
                self.set_variable(name, value)?;
            } else {
                self.variables[declared + index].1 = value;
            }
        }
        Ok(())
    }

    fn call_template(&mut self, dot: &Value, call: &'t Call) -> Evaluated<()> {
        self.at = Some(At::Call(call));
        let Some((name, list)) = self.trees.get_key_value(&call.name) else {
            return self.fail(format!("template {} not defined", quote(&call.name)));
        };
        let dot = match &call.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Nothing,
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let executing = std::mem::replace(&mut self.executing, name);
        self.list(&dot, list)?;
        self.variables = outer;
        self.executing = executing;
        Ok(())
    }

    fn pipe(&mut self, dot: &Value, pipe: &'t Pipe) -> Evaluated<Value> {
        self.at = Some(At::Pipe(pipe));
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or(Value::Nothing);
        for name in &pipe.variables {
            if pipe.assigns {
                self.set_variable(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn set_variable(&mut self, name: &str, value: Value) -> Evaluated<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some(variable) => variable.1 = value,
            None => return self.fail(format!("undefined variable: {name}")),
        }
        Ok(())
    }

    fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Evaluated<Value> {
        self.charge(1)?;
        let first = &command.arguments[0];
        let given = Given { arguments: &command.arguments[1..], last };
        match &first.term {
            Term::Field(_) | Term::Chain(..) | Term::Variable(_) => self.reference(dot, first, given),
            Term::Identifier(name) => {
                self.at = Some(At::Operand(first));
                self.function(dot, name, At::Command(command), given)
            }
            Term::Pipe(pipe) => {
                self.refuse_arguments(first, &given)?;
                self.deeper(|run| run.pipe(dot, pipe))
            }
            term => {
                self.at = Some(At::Operand(first));
                self.refuse_arguments(first, &given)?;
                match term {
                    Term::Nil => self.fail("nil is not a command"),
                    _ => self.literal(dot, first),
                }
            }
        }
    }

    fn refuse_arguments(&self, operand: &Operand, given: &Given<'_>) -> Evaluated<()> {
        if given.is_empty() {
            return Ok(());
        }
        self.fail(format!("can't give argument to non-function {operand}"))
    }

    // A value that stands in the text as it is.
    fn literal(&mut self, dot: &Value, operand: &'t Operand) -> Evaluated<Value> {
        match &operand.term {
            Term::Bool(value) => Ok(Value::Bool(*value)),
            Term::Dot => Ok(dot.clone()),
            Term::Number(number) => self.number(number),
            Term::Text(_, text) => Ok(Value::text(text.as_str())),
            _ => self.fail(format!("can't evaluate command {}", quote(&operand.to_string()))),
        }
    }

    // The way a number is written says whether it is a float.
    fn number(&self, number: &Number) -> Evaluated<Value> {
        let text = number.text.as_str();
        let unsigned = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
        let whole = text.starts_with('\'') || (unsigned.starts_with("0x") && !unsigned.contains('p'));
        match number.float {
            Some(float) if !whole && text.contains(['.', 'e', 'E', 'p', 'P']) => Ok(Value::Float(float)),
            _ => match number.int {
                Some(int) => Ok(Value::Int(int)),
                None => self.fail(format!("{text} overflows int")),
            },
        }
    }

    // `.a.b`, `$x.a.b` or `(pipeline).a.b`, and what it is given.
    fn reference(&mut self, dot: &Value, operand: &'t Operand, given: Given<'t>) -> Evaluated<Value> {
        self.at = Some(At::Operand(operand));
        let (receiver, fields): (Value, &'t [String]) = match &operand.term {
            Term::Field(fields) => (dot.clone(), fields),
            Term::Variable(names) => {
                let known = self.variables.iter().rev().find(|(name, _)| *name == names[0]);
                let Some((_, value)) = known else { return self.fail(format!("undefined variable: {}", names[0])) };
                let value = value.clone();
                if names.len() == 1 {
                    self.refuse_arguments(operand, &given)?;
                    return Ok(value);
                }
                (value, &names[1..])
            }
            Term::Chain(inner, fields) => {
                if matches!(inner.term, Term::Nil) {
                    return self.fail(format!("indirection through explicit nil in {operand}"));
                }
                (self.deeper(|run| run.argument(dot, Type::Any, inner))?, fields)
            }
            _ => return self.fail(format!("can't evaluate command {}", quote(&operand.to_string()))),
        };
        let Some((last, before)) = fields.split_last() else { return Ok(receiver) };
        let mut receiver = receiver;
        for field in before {
            receiver = self.field(dot, operand, receiver, field, Given::NONE)?;
            // What `args` does not have is a nil of an interface, which cannot be asked any further.
            if matches!(receiver, Value::Nothing) {
                return self.fail(format!("nil pointer evaluating interface {{}}.{last}"));
            }
        }
        self.field(dot, operand, receiver, last, given)
    }

    fn field(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        receiver: Value,
        name: &str,
        given: Given<'t>,
    ) -> Evaluated<Value> {
        let has_arguments = !given.is_empty();
        if let Some((types, run)) = method::find(&receiver, name) {
            let mut values = self.arguments(dot, name, types, None, given)?;
            values.insert(0, receiver);
            return match run(&values) {
                Ok(value) => self.made(value),
                Err(message) => {
                    self.at = Some(At::Operand(operand));
                    self.fail(format!("error calling {name}: {message}"))
                }
            };
        }
        let as_key = |value: Option<Value>, missing: Value| {
            if has_arguments {
                return Err(format!("{name} is not a method but has arguments"));
            }
            Ok(value.unwrap_or(missing))
        };
        let of_fields = |fields: &[(&str, Value)]| {
            let field = fields.iter().find(|(field, _)| *field == name);
            let Some((_, value)) = field else {
                return Err(format!("can't evaluate field {name} in type {}", receiver.type_name()));
            };
            if has_arguments {
                return Err(format!("{name} has arguments but cannot be invoked as function"));
            }
            Ok(value.clone())
        };
        let found = match &receiver {
            Value::Nothing => Ok(Value::Nothing),
            // `missingkey=zero`
            Value::Map(map) => as_key(map.get(name).map(|text| Value::text(text.as_str())), Value::text("")),
            Value::Args(args) => as_key(args.entries.get(name).cloned(), Value::Nothing),
            Value::Root(root) => of_fields(&root.fields()),
            Value::Sample(Some(sample)) => of_fields(&sample.fields()),
            Value::Sample(None) if matches!(name, "Labels" | "Value") => {
                Err(format!("nil pointer evaluating *template.sample.{name}"))
            }
            _ => Err(format!("can't evaluate field {name} in type {}", receiver.type_name())),
        };
        found.or_else(|message| self.fail(message))
    }

    fn function(&mut self, dot: &Value, name: &str, node: At<'t>, given: Given<'t>) -> Evaluated<Value> {
        let Some(function) = function::find(name) else {
            return self.fail(format!("{} is not a defined function", quote(name)));
        };
        let Function { fixed, rest, run, .. } = function;
        if let Some(decides) = function.short_circuit {
            return self.short_circuit(dot, name, decides, given);
        }
        let values = self.arguments(dot, name, fixed, *rest, given)?;
        let bytes: usize = values.iter().filter(|value| value.is_textual()).filter_map(Value::len).sum();
        // A function takes time in proportion to the texts it is given.
        self.charge(bytes / 256)?;
        match run(&mut self.context, &values) {
            Ok(value) => {
                let cost = std::mem::take(&mut self.context.cost);
                self.charge(cost)?;
                self.made(value)
            }
            Err(message) => {
                self.at = Some(node);
                self.fail(format!("error calling {name}: {message}"))
            }
        }
    }

    // `and` and `or` evaluate no more than they need.
    fn short_circuit(&mut self, dot: &Value, name: &str, decides: bool, given: Given<'t>) -> Evaluated<Value> {
        if given.is_empty() {
            return self.fail(format!("wrong number of args for {name}: want at least 1 got 0"));
        }
        let mut value = Value::Nothing;
        for argument in given.arguments {
            value = self.argument(dot, Type::Any, argument)?;
            if value.is_true() == decides {
                return Ok(value);
            }
        }
        Ok(given.last.unwrap_or(value))
    }

    fn made(&mut self, value: Value) -> Evaluated<Value> {
        if value.is_textual() {
            let length = value.len().unwrap_or(0);
            self.made += length;
            if length > OUTPUT_BYTES_MAX {
                return self.fail(format!("text of more than {OUTPUT_BYTES_MAX} bytes"));
            }
            if self.made > TEXT_BYTES_TOTAL_MAX {
                return self.fail(format!("texts of more than {TEXT_BYTES_TOTAL_MAX} bytes"));
            }
        }
        Ok(value)
    }

    fn arguments(
        &mut self,
        dot: &Value,
        name: &str,
        fixed: &[Type],
        rest: Option<Type>,
        given: Given<'t>,
    ) -> Evaluated<Vec<Value>> {
        let count = given.arguments.len() + usize::from(given.last.is_some());
        if rest.is_some() && count < fixed.len() {
            let (want, got) = (fixed.len(), given.arguments.len());
            return self.fail(format!("wrong number of args for {name}: want at least {want} got {got}"));
        }
        if rest.is_none() && count != fixed.len() {
            return self.fail(format!("wrong number of args for {name}: want {} got {count}", fixed.len()));
        }
        let kind = |index: usize| fixed.get(index).copied().or(rest).unwrap_or(Type::Any);
        let mut values = Vec::with_capacity(count);
        for (index, argument) in given.arguments.iter().enumerate() {
            values.push(self.argument(dot, kind(index), argument)?);
        }
        if let Some(last) = given.last {
            let kind = kind(values.len());
            values.push(self.checked(last, kind)?);
        }
        Ok(values)
    }

    fn argument(&mut self, dot: &Value, kind: Type, operand: &'t Operand) -> Evaluated<Value> {
        self.charge(1)?;
        self.at = Some(At::Operand(operand));
        match &operand.term {
            Term::Dot => self.checked(dot.clone(), kind),
            Term::Nil => match kind.nil() {
                Some(value) => Ok(value),
                None => self.fail(format!("cannot assign nil to {}", kind.name())),
            },
            Term::Field(_) | Term::Variable(_) | Term::Chain(..) => {
                let value = self.reference(dot, operand, Given::NONE)?;
                self.checked(value, kind)
            }
            Term::Pipe(pipe) => {
                let value = self.deeper(|run| run.pipe(dot, pipe))?;
                self.checked(value, kind)
            }
            Term::Identifier(name) => {
                let value = self.function(dot, name, At::Operand(operand), Given::NONE)?;
                self.checked(value, kind)
            }
            term => match (kind, term) {
                (Type::Any, _) | (Type::Text, Term::Text(..)) => self.literal(dot, operand),
                (Type::Text, _) => self.fail(format!("expected string; found {operand}")),
                _ => self.fail(format!("can't handle {operand} for arg of type {}", kind.name())),
            },
        }
    }

    fn checked(&self, value: Value, kind: Type) -> Evaluated<Value> {
        if matches!(value, Value::Nothing) {
            return match kind.nil() {
                Some(value) => Ok(value),
                None => self.fail(format!("invalid value; expected {}", kind.name())),
            };
        }
        if kind.takes(&value) {
            return Ok(value);
        }
        self.fail(format!("wrong type for value; expected {}; got {}", kind.name(), value.type_name()))
    }
}

fn is_iterable(value: &Value) -> bool {
    matches!(
        value,
        Value::Nothing | Value::Int(_) | Value::Map(_) | Value::Args(_) | Value::Vector(_) | Value::Records(_)
    )
}

// The key and the item at a place of what a loop goes over.
fn entry(value: &Value, index: usize) -> Option<(Value, Value)> {
    let numbered = |item: Value| (Value::Int(index as i64), item);
    match value {
        Value::Map(map) => {
            let (name, text) = map.iter().nth(index)?;
            Some((Value::text(name.as_str()), Value::text(text.as_str())))
        }
        Value::Args(args) => {
            args.entries.iter().nth(index).map(|(name, value)| (Value::text(name.as_str()), value.clone()))
        }
        Value::Vector(samples) => samples.get(index).map(|sample| numbered(Value::Sample(Some(sample.clone())))),
        Value::Records(records) => records.get(index).map(|record| numbered(Value::Map(Rc::clone(record)))),
        Value::Int(count) if (index as i64) < *count => Some(numbered(Value::Int(index as i64))),
        _ => None,
    }
}
