//! From tokens to trees, with Go's complaints in Go's words.

use super::function;
use super::lex::{Keyword, Kind, Token, tokens};
use super::limits::DEPTH_MAX;
use super::number;
use super::quote::{quote, unquote};
use super::tree::{Branch, Call, Command, List, Node, Operand, Pipe, Term, Trees};

/// Parses `text` as the template `name`. `known` are variables it may use without having declared them.
pub fn parse(name: &str, text: &str, known: &[&str]) -> Result<Trees, String> {
    let mut parser = Parser {
        name,
        tokens: tokens(text),
        next: 0,
        seen: 0,
        scope: Scope::new(known),
        action_line: 0,
        depth: 0,
        trees: Trees::new(),
    };
    let list = parser.whole()?;
    parser.add(name.to_owned(), list)?;
    Ok(parser.trees)
}

struct Parser<'a> {
    name: &'a str,
    tokens: Vec<Token>,
    next: usize,
    // The last token that has been looked at: complaints are about its line.
    seen: usize,
    scope: Scope,
    action_line: usize,
    depth: usize,
    trees: Trees,
}

// What a template's text can see; each definition has its own.
struct Scope {
    variables: Vec<String>,
    loops: usize,
}

impl Scope {
    fn new(known: &[&str]) -> Self {
        let variables = std::iter::once("$").chain(known.iter().copied()).map(str::to_owned).collect();
        Self { variables, loops: 0 }
    }
}

// What ends a list.
enum Stop {
    End,
    Else,
}

impl Stop {
    fn text(&self) -> &'static str {
        match self {
            Stop::End => "{{end}}",
            Stop::Else => "{{else}}",
        }
    }
}

enum Item {
    Node(Node),
    Stop(Stop),
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn peek(&mut self) -> Token {
        // The last token, an end or a mistake, is never passed.
        let index = self.next.min(self.tokens.len() - 1);
        self.seen = self.seen.max(index);
        self.tokens[index].clone()
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn next_non_space(&mut self) -> Token {
        while self.peek().kind == Kind::Space {
            self.next();
        }
        self.next()
    }

    fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.next -= 1;
        token
    }

    fn fail<T>(&self, message: impl std::fmt::Display) -> Parsed<T> {
        let line = self.tokens[self.seen].line;
        Err(format!("template: {}:{line}: {message}", self.name))
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return self.fail(format!("unexpected {} in {context}", token.describe()));
        }
        let mut extra = String::new();
        if self.action_line != 0 && self.action_line != token.line {
            extra = format!(" in action started at {}:{}", self.name, self.action_line);
            if token.text.ends_with(" action") {
                extra = extra[" in action".len()..].to_owned();
            }
        }
        self.fail(format!("{}{extra}", token.text))
    }

    fn expect(&mut self, kinds: &[Kind], context: &str) -> Parsed<Token> {
        let token = self.next_non_space();
        if kinds.contains(&token.kind) { Ok(token) } else { self.unexpected(&token, context) }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH_MAX {
            return self.fail(format!("nested more than {DEPTH_MAX} deep"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn whole(&mut self) -> Parsed<List> {
        let mut list = List::new();
        while self.peek().kind != Kind::End {
            if self.peek().kind == Kind::LeftDelim {
                let before = self.next;
                let delimiter = self.next();
                if self.next_non_space().kind == Kind::Keyword(Keyword::Define) {
                    self.action_line = delimiter.line;
                    self.definition()?;
                    continue;
                }
                self.next = before;
            }
            match self.text_or_action()? {
                Item::Node(node) => list.push(node),
                Item::Stop(stop) => return self.fail(format!("unexpected {}", stop.text())),
            }
        }
        Ok(list)
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let name = self.expect(&[Kind::Quoted, Kind::RawText], CONTEXT)?;
        let Some(name) = unquote(&name.text) else { return self.fail("invalid syntax") };
        self.expect(&[Kind::RightDelim], CONTEXT)?;
        let list = self.in_new_scope(CONTEXT)?;
        self.add(name, list)
    }

    fn in_new_scope(&mut self, context: &str) -> Parsed<List> {
        let outer = std::mem::replace(&mut self.scope, Scope::new(&[]));
        let (list, stop) = self.items()?;
        self.scope = outer;
        match stop {
            Stop::End => Ok(list),
            Stop::Else => self.fail(format!("unexpected {} in {context}", stop.text())),
        }
    }

    fn add(&mut self, name: String, list: List) -> Parsed<()> {
        let is_empty = |list: &List| list.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
        match self.trees.get(&name) {
            Some(known) if !is_empty(known) && is_empty(&list) => Ok(()),
            Some(known) if !is_empty(known) => {
                self.fail(format!("template: multiple definition of template {}", quote(&name)))
            }
            _ => {
                self.trees.insert(name, list);
                Ok(())
            }
        }
    }

    fn items(&mut self) -> Parsed<(List, Stop)> {
        let mut list = List::new();
        while self.peek_non_space().kind != Kind::End {
            match self.text_or_action()? {
                Item::Node(node) => list.push(node),
                Item::Stop(stop) => return Ok((list, stop)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text))),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let item = self.deeper(Self::action);
                self.action_line = 0;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        let Kind::Keyword(keyword) = token.kind else {
            self.next -= 1;
            return Ok(Item::Node(Node::Action(self.pipeline("command", Kind::RightDelim)?)));
        };
        Ok(Item::Node(match keyword {
            Keyword::End => {
                self.expect(&[Kind::RightDelim], "end")?;
                return Ok(Item::Stop(Stop::End));
            }
            Keyword::Else => {
                // `{{else if` and `{{else with` leave their word to the branch they continue.
                let next = self.peek_non_space().kind;
                if !matches!(next, Kind::Keyword(Keyword::If | Keyword::With)) {
                    self.expect(&[Kind::RightDelim], "else")?;
                }
                return Ok(Item::Stop(Stop::Else));
            }
            Keyword::If => Node::If(self.branch("if", Some(Keyword::If))?),
            Keyword::With => Node::With(self.branch("with", Some(Keyword::With))?),
            Keyword::Range => Node::Range(self.branch("range", None)?),
            Keyword::Template => Node::Template(self.call()?),
            Keyword::Block => Node::Template(self.block()?),
            Keyword::Break => self.leave(Node::Break, "{{break}}")?,
            Keyword::Continue => self.leave(Node::Continue, "{{continue}}")?,
            Keyword::Define => {
                return self.unexpected(&token, "command");
            }
        }))
    }

    fn leave(&mut self, node: Node, text: &str) -> Parsed<Node> {
        self.expect(&[Kind::RightDelim], text)?;
        if self.scope.loops == 0 {
            return self.fail(format!("{text} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn branch(&mut self, context: &str, continues: Option<Keyword>) -> Parsed<Branch> {
        let visible = self.scope.variables.len();
        let is_loop = context == "range";
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.scope.loops += usize::from(is_loop);
        let (body, stop) = self.items()?;
        self.scope.loops -= usize::from(is_loop);
        let mut otherwise = List::new();
        if matches!(stop, Stop::Else) {
            let next = self.peek().kind;
            match continues {
                // `{{else if x}}` is `{{else}}{{if x}}` without a second `{{end}}`.
                Some(keyword) if next == Kind::Keyword(keyword) => {
                    self.next();
                    let inner = self.deeper(|parser| parser.branch(context, continues))?;
                    otherwise.push(if keyword == Keyword::If { Node::If(inner) } else { Node::With(inner) });
                }
                _ => {
                    let (list, stop) = self.items()?;
                    if matches!(stop, Stop::Else) {
                        return self.fail(format!("expected end; found {}", stop.text()));
                    }
                    otherwise = list;
                }
            }
        }
        self.scope.variables.truncate(visible);
        Ok(Branch { pipe, body, otherwise })
    }

    fn call(&mut self) -> Parsed<Call> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = if self.next_non_space().kind == Kind::RightDelim {
            None
        } else {
            self.next -= 1;
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Call { at: token.at, name, pipe })
    }

    fn block(&mut self) -> Parsed<Call> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = Some(self.pipeline(CONTEXT, Kind::RightDelim)?);
        let list = self.in_new_scope(CONTEXT)?;
        self.add(name.clone(), list)?;
        Ok(Call { at: token.at, name, pipe })
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Parsed<String> {
        match token.kind {
            Kind::Quoted | Kind::RawText => unquote(&token.text).map_or_else(|| self.fail("invalid syntax"), Ok),
            _ => self.unexpected(token, context),
        }
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let at = self.peek_non_space().at;
        let mut pipe = Pipe { at, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawText
                | Kind::Quoted
                | Kind::Variable
                | Kind::LeftParen => {
                    self.next -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = &command.arguments[0].term;
            if matches!(first, Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text(..)) {
                return self.fail(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(pipe)
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        loop {
            let variable = self.peek_non_space();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            let before = self.next;
            self.next();
            let after = self.peek_non_space();
            match after.kind {
                Kind::Assign | Kind::Declare => {
                    self.next();
                    pipe.assigns = after.kind == Kind::Assign;
                    pipe.variables.push(variable.text.clone());
                    self.scope.variables.push(variable.text);
                    return Ok(());
                }
                Kind::Char if after.text == "," => {
                    self.next();
                    pipe.variables.push(variable.text.clone());
                    self.scope.variables.push(variable.text);
                    if context != "range" || pipe.variables.len() >= 2 {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    let next = self.peek_non_space().kind;
                    if !matches!(next, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                        return self.fail("range can only initialize variables");
                    }
                }
                _ => {
                    self.next = before;
                    return Ok(());
                }
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let at = self.peek_non_space().at;
        let mut arguments = Vec::new();
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                arguments.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => {}
                Kind::RightDelim | Kind::RightParen => {
                    self.next -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        if arguments.is_empty() {
            return self.fail("empty command");
        }
        Ok(Command { at, arguments })
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(operand));
        }
        let at = self.peek().at;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.next().text[1..].to_owned());
        }
        let term = match operand.term {
            Term::Field(mut names) => {
                names.extend(fields);
                Term::Field(names)
            }
            Term::Variable(mut names) => {
                names.extend(fields);
                Term::Variable(names)
            }
            Term::Bool(_) | Term::Text(..) | Term::Number(_) | Term::Nil | Term::Dot => {
                return self.fail(format!("unexpected . after term {}", quote(&operand.to_string())));
            }
            _ => Term::Chain(Box::new(operand), fields),
        };
        Ok(Some(Operand { at, term }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_non_space();
        let term = match token.kind {
            Kind::Identifier => {
                if function::find(&token.text).is_none() {
                    return self.fail(format!("function {} not defined", quote(&token.text)));
                }
                Term::Identifier(token.text)
            }
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => {
                if !self.scope.variables.contains(&token.text) {
                    return self.fail(format!("undefined variable {}", quote(&token.text)));
                }
                Term::Variable(vec![token.text])
            }
            Kind::Field => Term::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::CharConstant => match number::character(&token.text) {
                Ok(number) => Term::Number(number),
                Err(message) => return self.fail(message),
            },
            Kind::Number => match number::number(&token.text) {
                Ok(number) => Term::Number(number),
                Err(message) => return self.fail(message),
            },
            Kind::LeftParen => {
                Term::Pipe(self.deeper(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?)
            }
            Kind::Quoted | Kind::RawText => match unquote(&token.text) {
                Some(text) => Term::Text(token.text, text),
                None => return self.fail("invalid syntax"),
            },
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand { at: token.at, term }))
    }
}
