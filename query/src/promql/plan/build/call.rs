//! Function calls.

use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr, VectorSelector};

use super::{Builder, Result, Typed, without_parentheses};
use crate::promql::function::{ElementFunction, RangeFunction, range_function};
use crate::promql::matcher::anchored;
use crate::promql::plan::{
    HistogramFunction, HistogramShare, LabelJoin, LabelReplace, Mapped, OverRange, Scalar, Side, Vector,
};

impl Builder<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Result<Typed> {
        let name = call.func.name;
        let start = self.locator.call(name);
        let arguments: Vec<&Expr> = call.args.args.iter().map(|argument| &**argument).collect();
        let place = format!("call to function '{name}'");
        let first = self.locator.first_argument();
        if let Some(function) = range_function(name) {
            return self.over_range(function, &arguments, first, &place).map(Typed::Vector);
        }
        if let Some(function) = ElementFunction::from_name(name) {
            return self.mapped(function, &arguments, &place).map(Typed::Vector);
        }
        Ok(Typed::Vector(match (name, arguments.as_slice()) {
            ("time", []) => return Ok(Typed::Scalar(Scalar::Time)),
            ("pi", []) => return Ok(Typed::Scalar(Scalar::Number(std::f64::consts::PI))),
            ("scalar", [vector]) => return Ok(Typed::Scalar(Scalar::Of(Box::new(self.vector(vector, &place)?)))),
            ("vector", [scalar]) => Vector::Constant(self.scalar(scalar, &place)?),
            ("timestamp", [vector]) => match self.vector(vector, &place)? {
                Vector::Select(select) => Vector::SampleTime(select),
                vector => Vector::StepTime(Box::new(vector)),
            },
            ("sort", [vector]) => Vector::Sorted(Side::Least, Box::new(self.vector(vector, &place)?)),
            ("sort_desc", [vector]) => Vector::Sorted(Side::Greatest, Box::new(self.vector(vector, &place)?)),
            ("absent", [vector]) => Vector::Absent(labels_of_absent(vector), Box::new(self.vector(vector, &place)?)),
            ("absent_over_time", [range]) => {
                let labels = labels_of_absent(range);
                let present = range_function("present_over_time");
                let function = present.ok_or_else(|| self.unsupported(start, "function \"absent_over_time\""))?;
                let present = self.over_range(function, &[*range], first, &place)?;
                Vector::Absent(labels, Box::new(present))
            }
            ("label_replace", [vector, destination, replacement, source, regex]) => {
                self.label_replace([vector, destination, replacement, source, regex], &place)?
            }
            ("label_join", [vector, destination, separator, sources @ ..]) => {
                self.label_join([vector, destination, separator], sources, &place)?
            }
            ("histogram_quantile", [quantile, buckets]) => {
                let function = HistogramFunction::Quantile(self.scalar(quantile, &place)?);
                self.histogram(function, buckets, first, &place)?
            }
            ("histogram_fraction", [lower, upper, buckets]) => {
                let lower = self.scalar(lower, &place)?;
                self.locator.next_argument();
                let function = HistogramFunction::Fraction(lower, self.scalar(upper, &place)?);
                self.histogram(function, buckets, first, &place)?
            }
            _ => return Err(self.unsupported(start, &format!("function \"{name}\""))),
        }))
    }

    fn over_range(
        &mut self,
        function: &'static RangeFunction,
        arguments: &[&Expr],
        position: Option<usize>,
        place: &str,
    ) -> Result<Vector> {
        let mut range = None;
        let mut numbers = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.locator.next_argument();
            }
            if index == function.range_argument {
                range = Some(self.range(argument)?);
            } else {
                numbers.push(self.scalar(argument, place)?);
            }
        }
        let range = range.ok_or_else(|| self.refuse(position, &format!("expected a range of samples in {place}")))?;
        Ok(Vector::OverRange(Box::new(OverRange { function, range, arguments: numbers, position })))
    }

    fn mapped(&mut self, function: ElementFunction, arguments: &[&Expr], place: &str) -> Result<Vector> {
        let Some((vector, numbers)) = arguments.split_first() else {
            // Only those of the calendar can do without: they look at the time of the step.
            return Ok(Vector::Mapped(Box::new(Mapped {
                function,
                vector: Vector::Constant(Scalar::Time),
                arguments: Vec::new(),
            })));
        };
        let vector = self.vector(vector, place)?;
        let mut arguments = Vec::new();
        for number in numbers {
            self.locator.next_argument();
            arguments.push(self.scalar(number, place)?);
        }
        Ok(Vector::Mapped(Box::new(Mapped { function, vector, arguments })))
    }

    fn label_replace(&mut self, arguments: [&Expr; 5], place: &str) -> Result<Vector> {
        let [vector, destination, replacement, source, regex] = arguments;
        let vector = self.vector(vector, place)?;
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

    fn label_join(&mut self, arguments: [&Expr; 3], sources: &[&Expr], place: &str) -> Result<Vector> {
        let [vector, destination, separator] = arguments;
        let vector = self.vector(vector, place)?;
        self.locator.next_argument();
        let destination = self.label(destination, "invalid destination label name in label_join():")?;
        let separator = self.text(separator)?;
        let label = |source: &&Expr| self.label(source, "invalid source label name in label_join():");
        let sources = sources.iter().map(label).collect::<Result<_>>()?;
        Ok(Vector::LabelJoin(Box::new(LabelJoin { vector, destination, separator, sources })))
    }

    fn histogram(
        &mut self,
        function: HistogramFunction,
        buckets: &Expr,
        first_position: Option<usize>,
        place: &str,
    ) -> Result<Vector> {
        self.locator.next_argument();
        let position = self.locator.upcoming();
        let vector = self.vector(buckets, place)?;
        Ok(Vector::Histogram(Box::new(HistogramShare { function, vector, first_position, position })))
    }
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
