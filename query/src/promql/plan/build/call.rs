//! Function calls.

use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr, VectorSelector};

use super::{Builder, Result, Typed, parentheses, without_parentheses};
use crate::promql::error::PromqlError;
use crate::promql::features::{EXPERIMENTAL, Feature};
use crate::promql::function::{ElementFunction, RangeFunction, range_function};
use crate::promql::matcher::{Condition, Matcher, anchored};
use crate::promql::plan::{
    HistogramFact, HistogramFunction, HistogramShare, Info, LabelJoin, LabelReplace, Mapped, OverRange, QueryFact,
    Scalar, Select, Side, SortedByLabels, Vector, When,
};

/// A call on its way to the plan.
struct Called<'t> {
    name: &'t str,
    arguments: Vec<&'t Expr>,
    /// Where its name stands.
    start: Option<usize>,
    /// Where its first argument begins.
    first: Option<usize>,
    /// For messages.
    place: String,
}

impl Builder<'_> {
    // Calls are nested as deep as the limit allows: each kind has a function of its own, so that none of them takes up room on
    // the stack for the others.
    pub(super) fn call(&mut self, call: &Call) -> Result<Typed> {
        let name = call.func.name;
        let start = self.locator.call(name);
        self.check_experimental(name, start)?;
        let arguments = call.args.args.iter().map(|argument| &**argument).collect();
        self.locator.first_argument();
        let first = self.locator.within(call.args.args.first().map_or(0, |argument| parentheses(argument)));
        let called = Called { name, arguments, start, first, place: format!("call to function '{name}'") };
        match name {
            "time" | "pi" | "scalar" | "start" | "end" | "range" | "step" | "max_of" | "min_of" => {
                self.scalar_call(&called).map(Typed::Scalar)
            }
            _ => self.vector_call(&called).map(Typed::Vector),
        }
    }

    pub(super) fn check_experimental(&self, name: &str, start: Option<usize>) -> Result<()> {
        if !EXPERIMENTAL.contains(&name) {
            return Ok(());
        }
        let feature = "promql-experimental-functions";
        let message = format!("{name}() is experimental and must be enabled with the feature {feature}");
        self.need(Feature::Functions, start, &message)
    }

    fn scalar_call(&mut self, called: &Called<'_>) -> Result<Scalar> {
        Ok(match (called.name, called.arguments.as_slice()) {
            ("scalar", [vector]) => Scalar::Of(Box::new(self.vector(vector, &called.place)?)),
            (name @ ("max_of" | "min_of"), [left, right]) => {
                let side = if name == "max_of" { Side::Greatest } else { Side::Least };
                let left = self.scalar(left, &called.place)?;
                self.locator.next_argument();
                Scalar::Extreme(side, Box::new(left), Box::new(self.scalar(right, &called.place)?))
            }
            ("pi", []) => Scalar::Number(std::f64::consts::PI),
            ("time", []) => Scalar::Time,
            ("start", []) => Scalar::Query(QueryFact::Start),
            ("end", []) => Scalar::Query(QueryFact::End),
            ("range", []) => Scalar::Query(QueryFact::Range),
            ("step", []) => Scalar::Query(QueryFact::Step),
            _ => return Err(self.wrong_arguments(called)),
        })
    }

    fn vector_call(&mut self, called: &Called<'_>) -> Result<Vector> {
        if let Some(function) = range_function(called.name) {
            return self.over_range(function, called);
        }
        if let Some(function) = ElementFunction::from_name(called.name) {
            return self.mapped(function, called);
        }
        match called.name {
            "vector" | "timestamp" | "sort" | "sort_desc" => self.simple(called),
            "absent" | "absent_over_time" => self.absent(called),
            "label_replace" => self.label_replace(called),
            "label_join" => self.label_join(called),
            "histogram_quantile" | "histogram_fraction" => self.histogram(called),
            "histogram_quantiles" => self.quantiles(called),
            "histogram_count" => self.histogram_fact(HistogramFact::Count, called),
            "histogram_sum" => self.histogram_fact(HistogramFact::Sum, called),
            "histogram_avg" => self.histogram_fact(HistogramFact::Avg, called),
            "histogram_stddev" => self.histogram_fact(HistogramFact::Stddev, called),
            "histogram_stdvar" => self.histogram_fact(HistogramFact::Stdvar, called),
            "sort_by_label" | "sort_by_label_desc" => self.sorted_by_labels(called),
            "info" => self.info(called),
            name => Err(self.unsupported(called.start, &format!("function \"{name}\""))),
        }
    }

    fn over_range(&mut self, function: &'static RangeFunction, called: &Called<'_>) -> Result<Vector> {
        let mut range = None;
        let mut numbers = Vec::new();
        for (index, argument) in called.arguments.iter().enumerate() {
            if index > 0 {
                self.locator.next_argument();
            }
            if index == function.range_argument {
                range = Some(self.range(argument)?);
            } else {
                numbers.push(self.scalar(argument, &called.place)?);
            }
        }
        let range = range.ok_or_else(|| self.wrong_arguments(called))?;
        if let Some(extension) = range.extension()
            && !extension.functions().contains(&function.name)
        {
            let (word, functions, name) = (extension.word(), extension.functions().join(", "), called.name);
            let message = format!("{word} modifier can only be used with: {functions} - not with {name}");
            return Err(self.refuse(called.start, &message));
        }
        Ok(Vector::OverRange(Box::new(OverRange { function, range, arguments: numbers, position: called.first })))
    }

    fn mapped(&mut self, function: ElementFunction, called: &Called<'_>) -> Result<Vector> {
        let Some((vector, numbers)) = called.arguments.split_first() else {
            // Only those of the calendar can do without: they look at the time of the step.
            let vector = Vector::Constant(Scalar::Time);
            return Ok(Vector::Mapped(Box::new(Mapped { function, vector, arguments: Vec::new() })));
        };
        let vector = self.vector(vector, &called.place)?;
        let mut arguments = Vec::new();
        for number in numbers {
            self.locator.next_argument();
            arguments.push(self.scalar(number, &called.place)?);
        }
        Ok(Vector::Mapped(Box::new(Mapped { function, vector, arguments })))
    }

    fn simple(&mut self, called: &Called<'_>) -> Result<Vector> {
        let [argument] = called.arguments.as_slice() else { return Err(self.wrong_arguments(called)) };
        if called.name == "vector" {
            return self.scalar(argument, &called.place).map(Vector::Constant);
        }
        let vector = self.vector(argument, &called.place)?;
        Ok(match (called.name, vector) {
            ("timestamp", Vector::Select(select)) => Vector::SampleTime(select),
            ("timestamp", vector) => Vector::StepTime(Box::new(vector)),
            ("sort", vector) => Vector::Sorted(Side::Least, Box::new(vector)),
            (_, vector) => Vector::Sorted(Side::Greatest, Box::new(vector)),
        })
    }

    fn absent(&mut self, called: &Called<'_>) -> Result<Vector> {
        let [argument] = called.arguments.as_slice() else { return Err(self.wrong_arguments(called)) };
        let labels = labels_of_absent(argument);
        // Any function will do that gives something for every sample and keeps series apart by their names.
        let vector = match range_function("last_over_time").filter(|_| called.name == "absent_over_time") {
            Some(last) => self.over_range(last, called)?,
            None => self.vector(argument, &called.place)?,
        };
        Ok(Vector::Absent(labels, Box::new(vector)))
    }

    fn label_replace(&mut self, called: &Called<'_>) -> Result<Vector> {
        let [vector, destination, replacement, source, regex] = called.arguments.as_slice() else {
            return Err(self.wrong_arguments(called));
        };
        let vector = self.vector(vector, &called.place)?;
        self.locator.next_argument();
        let destination = self.label(destination, "invalid destination label name in label_replace():")?;
        let replacement = self.text(replacement)?;
        let source = self.text(source)?;
        self.locator.next_argument();
        let position = self.locator.upcoming();
        let pattern = self.text(regex)?;
        let regex = anchored(&pattern)
            .map_err(|_| self.refuse(position, &format!("invalid regular expression in label_replace(): {pattern}")))?;
        Ok(Vector::LabelReplace(Box::new(LabelReplace { vector, destination, replacement, source, regex })))
    }

    fn label_join(&mut self, called: &Called<'_>) -> Result<Vector> {
        let [vector, destination, separator, sources @ ..] = called.arguments.as_slice() else {
            return Err(self.wrong_arguments(called));
        };
        let vector = self.vector(vector, &called.place)?;
        self.locator.next_argument();
        let destination = self.label(destination, "invalid destination label name in label_join():")?;
        let separator = self.text(separator)?;
        let label = |source: &&Expr| self.label(source, "invalid source label name in label_join():");
        let sources = sources.iter().map(label).collect::<Result<_>>()?;
        Ok(Vector::LabelJoin(Box::new(LabelJoin { vector, destination, separator, sources })))
    }

    fn histogram(&mut self, called: &Called<'_>) -> Result<Vector> {
        let [numbers @ .., buckets] = called.arguments.as_slice() else { return Err(self.wrong_arguments(called)) };
        let mut planned = Vec::new();
        for number in numbers {
            planned.push(self.scalar(number, &called.place)?);
            self.locator.next_argument();
        }
        let mut planned = planned.into_iter();
        let function = match (planned.next(), planned.next()) {
            (Some(quantile), None) => HistogramFunction::Quantile(quantile),
            (Some(lower), Some(upper)) => HistogramFunction::Fraction(lower, upper),
            (None, _) => return Err(self.wrong_arguments(called)),
        };
        let position = self.locator.within(parentheses(buckets));
        let vector = self.vector(buckets, &called.place)?;
        let first_position = called.first;
        Ok(Vector::Histogram(Box::new(HistogramShare { function, vector, first_position, position })))
    }

    fn quantiles(&mut self, called: &Called<'_>) -> Result<Vector> {
        let [series, label, shares @ ..] = called.arguments.as_slice() else {
            return Err(self.wrong_arguments(called));
        };
        let vector = self.vector(series, &called.place)?;
        self.locator.next_argument();
        let label = self.label(label, "invalid label name in histogram_quantiles():")?;
        let mut planned = Vec::with_capacity(shares.len());
        let mut first_position = None;
        for share in shares {
            let position = self.locator.next_argument();
            first_position = first_position.or(position);
            planned.push(self.scalar(share, &called.place)?);
        }
        let function = HistogramFunction::Quantiles(label, planned);
        Ok(Vector::Histogram(Box::new(HistogramShare { function, vector, first_position, position: called.first })))
    }

    fn histogram_fact(&mut self, fact: HistogramFact, called: &Called<'_>) -> Result<Vector> {
        let [argument] = called.arguments.as_slice() else { return Err(self.wrong_arguments(called)) };
        Ok(Vector::HistogramFact(fact, Box::new(self.vector(argument, &called.place)?)))
    }

    fn sorted_by_labels(&mut self, called: &Called<'_>) -> Result<Vector> {
        let [vector, labels @ ..] = called.arguments.as_slice() else { return Err(self.wrong_arguments(called)) };
        let vector = self.vector(vector, &called.place)?;
        self.locator.next_argument();
        let role = format!("invalid label name in {}():", called.name);
        let labels = labels.iter().map(|label| self.label(label, &role)).collect::<Result<_>>()?;
        let descending = called.name == "sort_by_label_desc";
        Ok(Vector::SortedByLabels(Box::new(SortedByLabels { vector, labels, descending })))
    }

    fn info(&mut self, called: &Called<'_>) -> Result<Vector> {
        let (vector, selector) = match called.arguments.as_slice() {
            [vector] => (vector, None),
            [vector, selector] => (vector, Some(selector)),
            _ => return Err(self.wrong_arguments(called)),
        };
        let vector = self.vector(vector, &called.place)?;
        let mut infos = match selector {
            None => Select { matchers: Vec::new(), when: When::default(), extension: None, position: called.first },
            Some(selector) => {
                let position = self.locator.next_argument();
                let Expr::VectorSelector(selector) = without_parentheses(selector) else {
                    return Err(self.refuse(position, "expected label selectors only"));
                };
                if selector.name.is_some() {
                    return Err(self.refuse(position, "expected label selectors only, got vector selector instead"));
                }
                let mut select = self.select(selector)?;
                // The first is the one that the text has not: see `dialect`.
                if select.matchers.first().is_some_and(is_any_name) {
                    select.matchers.remove(0);
                }
                select
            }
        };
        let is_name = |matcher: &Matcher| matcher.name == model::labels::METRIC_NAME;
        let mut labels: Vec<String> =
            infos.matchers.iter().filter(|matcher| !is_name(matcher)).map(|matcher| matcher.name.clone()).collect();
        labels.dedup();
        if !infos.matchers.iter().any(is_name) {
            infos.matchers.push(Matcher::equal(model::labels::METRIC_NAME, model::names::TARGET_INFO));
        }
        Ok(Vector::Info(Box::new(Info { vector, infos, labels })))
    }

    // The parser has counted them already.
    fn wrong_arguments(&self, called: &Called<'_>) -> PromqlError {
        self.refuse(called.start, &format!("wrong number of arguments in {}", called.place))
    }
}

fn is_any_name(matcher: &Matcher) -> bool {
    let refuses_none = matches!(&matcher.condition, Condition::NotEqual(value) if value.is_empty());
    matcher.name == model::labels::METRIC_NAME && refuses_none
}

// What is known of a series that is not there: the labels its selector demands with `=`, each only once.
fn labels_of_absent(argument: &Expr) -> model::Labels {
    let selector: &VectorSelector = match without_parentheses(argument) {
        Expr::VectorSelector(selector) => selector,
        Expr::MatrixSelector(selector) => &selector.vs,
        _ => return model::Labels::empty(),
    };
    let mut labels = std::collections::BTreeMap::new();
    let mut seen = Vec::new();
    for matcher in &selector.matchers.matchers {
        let name = matcher.name.as_str();
        if name == model::labels::METRIC_NAME {
            continue;
        }
        if matcher.op == MatchOp::Equal && !seen.contains(&name) {
            labels.insert(name, matcher.value.as_str());
            seen.push(name);
        } else {
            labels.remove(name);
        }
    }
    model::Labels::new(labels)
}
