//! A parsed template. Everything knows the byte it begins at and how Go would write it: complaints name both.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// The templates of a text by their names, the text's own among them.
pub type Trees = BTreeMap<String, List>;

/// Nodes in a row.
pub type List = Vec<Node>;

/// What is executed.
#[derive(Debug)]
pub enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Call),
    Break,
    Continue,
}

/// A condition or a loop with its two bodies.
#[derive(Debug)]
pub struct Branch {
    pub pipe: Pipe,
    pub body: List,
    pub otherwise: List,
}

/// `{{template "name" pipeline}}`
#[derive(Debug)]
pub struct Call {
    pub at: usize,
    pub name: String,
    pub pipe: Option<Pipe>,
}

/// Commands whose values are handed on, and the variables that take the last one.
#[derive(Debug)]
pub struct Pipe {
    pub at: usize,
    pub variables: Vec<String>,
    /// Whether the variables are there already.
    pub assigns: bool,
    pub commands: Vec<Command>,
}

/// An operand with its arguments.
#[derive(Debug)]
pub struct Command {
    pub at: usize,
    pub arguments: Vec<Operand>,
}

/// A value in a command.
#[derive(Debug)]
pub struct Operand {
    pub at: usize,
    pub term: Term,
}

/// What an operand is.
#[derive(Debug)]
pub enum Term {
    Identifier(String),
    /// `$x.a.b`: the variable with its `$`, then the fields.
    Variable(Vec<String>),
    Dot,
    Nil,
    /// `.a.b`
    Field(Vec<String>),
    /// `(pipeline).a.b` or `function.a.b`
    Chain(Box<Operand>, Vec<String>),
    Bool(bool),
    Number(Number),
    /// As it was written, and what it stands for.
    Text(String, String),
    Pipe(Pipe),
}

/// A number, and what it may be taken for.
#[derive(Clone, Debug)]
pub struct Number {
    pub text: String,
    pub int: Option<i64>,
    pub float: Option<f64>,
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", super::quote::quote(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} := ", self.variables.join(", "))?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if index > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, argument) in self.arguments.iter().enumerate() {
            f.write_str(if index > 0 { " " } else { "" })?;
            match &argument.term {
                Term::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => write!(f, "{argument}")?,
            }
        }
        Ok(())
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Identifier(name) => f.write_str(name),
            Term::Variable(names) => f.write_str(&names.join(".")),
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Field(fields) => write!(f, ".{}", fields.join(".")),
            Term::Chain(inner, fields) => match &inner.term {
                Term::Pipe(pipe) => write!(f, "({pipe}).{}", fields.join(".")),
                _ => write!(f, "{inner}.{}", fields.join(".")),
            },
            Term::Bool(value) => write!(f, "{value}"),
            Term::Number(number) => f.write_str(&number.text),
            Term::Text(quoted, _) => f.write_str(quoted),
            Term::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}
