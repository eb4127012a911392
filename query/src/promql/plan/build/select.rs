//! Selectors, ranges and subqueries.

use std::time::{Duration as StdDuration, SystemTime};

use promql_parser::label::{MatchOp, Matcher as ParsedMatcher};
use promql_parser::parser::{AtModifier, MatrixSelector, Offset, SubqueryExpr, VectorSelector};

use super::{Builder, Result};
use crate::promql::dialect;
use crate::promql::features::Feature;
use crate::promql::limits;
use crate::promql::matcher::{Condition, Matcher, anchored};
use crate::promql::plan::{At, Duration, Extension, RangeSelect, Select, Span, Subquery, When};
use crate::promql::value::Steps;

impl Builder<'_> {
    pub(super) fn range_select(&mut self, selector: &MatrixSelector) -> Result<RangeSelect> {
        let mut select = self.select(&selector.vs)?;
        let (range, extension) = self.span(select.position, selector.range)?;
        self.refuse_nothing(select.position, range)?;
        select.extension = extension;
        Ok(RangeSelect { select, range })
    }

    pub(super) fn select(&mut self, selector: &VectorSelector) -> Result<Select> {
        // A quoted name stands within the braces: `{"http.requests"}`.
        let name = selector.name.as_deref();
        let position = self.locator.selector(name);
        if !selector.matchers.or_matchers.is_empty() {
            return Err(self.unsupported(position, "\"or\" between matchers"));
        }
        let mut matchers: Vec<Matcher> =
            name.map(|name| Matcher::equal(model::labels::METRIC_NAME, name)).into_iter().collect();
        for parsed in &selector.matchers.matchers {
            matchers.push(self.matcher(position, parsed)?);
        }
        let (when, extension) = self.when(position, selector.offset.as_ref(), selector.at.as_ref())?;
        Ok(Select { matchers, when, extension, position })
    }

    fn when(
        &mut self,
        position: Option<usize>,
        offset: Option<&Offset>,
        at: Option<&AtModifier>,
    ) -> Result<(When, Option<Extension>)> {
        let (offset, extension) = match offset {
            None => (Span::default(), None),
            Some(Offset::Pos(offset)) => self.span(position, *offset)?,
            Some(Offset::Neg(offset)) => match self.span(position, *offset)? {
                (Span::Millis(millis), extension) => (Span::Millis(-millis), extension),
                computed => computed,
            },
        };
        Ok((When { offset, at: at.map(|at| self.at(position, at)).transpose()? }, extension))
    }

    // What a duration of the parser's stands for.
    fn span(&mut self, position: Option<usize>, duration: StdDuration) -> Result<(Span, Option<Extension>)> {
        let Some(entry) = dialect::entry(&self.entries, duration).cloned() else {
            return Ok((Span::Millis(self.millis(position, duration)?), None));
        };
        if let Some(extension) = entry.extension {
            let message = format!("{} modifier is experimental and not enabled", extension.word());
            self.need(Feature::ExtendedRanges, position, &message)?;
        }
        if !matches!(entry.duration, Duration::Seconds(_)) {
            self.need(Feature::Durations, position, "experimental duration expression is not enabled")?;
        }
        if entry.duration.is_constant() {
            let millis = entry.duration.millis(&Steps::instant(0)).map_err(|error| self.refuse(position, &error))?;
            return Ok((Span::Millis(millis), entry.extension));
        }
        self.durations.push(entry.duration);
        Ok((Span::Computed(self.durations.len() - 1), entry.extension))
    }

    fn refuse_nothing(&self, position: Option<usize>, range: Span) -> Result<()> {
        match range {
            Span::Millis(millis) if millis <= 0 => Err(self.refuse(position, "duration must be greater than 0")),
            _ => Ok(()),
        }
    }

    pub(super) fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<Subquery> {
        let position = self.locator.upcoming();
        // The inner expression comes first in the text.
        let vector = self.vector(&subquery.expr, "subquery")?;
        let (range, range_extension) = self.span(position, subquery.range)?;
        self.refuse_nothing(position, range)?;
        let step = subquery.step.map(|step| self.span(position, step)).transpose()?.map(|(step, _)| step);
        if matches!(step, Some(Span::Millis(millis)) if millis <= 0) {
            return Err(self.refuse(self.locator.modifier("["), "the step of a subquery is less than a millisecond"));
        }
        let (when, extension) = self.when(position, subquery.offset.as_ref(), subquery.at.as_ref())?;
        if let Some(extension) = range_extension.or(extension) {
            let message = format!("{} modifier cannot be used with subqueries", extension.word());
            return Err(self.refuse(position, &message));
        }
        Ok(Subquery { vector, range, step, when, position })
    }

    fn matcher(&self, position: Option<usize>, parsed: &ParsedMatcher) -> Result<Matcher> {
        let regex = || {
            anchored(&parsed.value).map_err(|error| {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.refuse(position, &format!("illegal regex {:?}: {reason}", parsed.value))
            })
        };
        let condition = match parsed.op {
            MatchOp::Equal => Condition::Equal(parsed.value.clone()),
            MatchOp::NotEqual => Condition::NotEqual(parsed.value.clone()),
            MatchOp::Re(_) => Condition::Matches(regex()?),
            MatchOp::NotRe(_) => Condition::NotMatches(regex()?),
        };
        Ok(Matcher { name: parsed.name.clone(), condition })
    }

    fn at(&self, position: Option<usize>, at: &AtModifier) -> Result<At> {
        let time = match at {
            AtModifier::Start => return Ok(At::Start),
            AtModifier::End => return Ok(At::End),
            AtModifier::At(time) => *time,
        };
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => self.millis(position, after).map(At::Time),
            Err(before) => self.millis(position, before.duration()).map(|millis| At::Time(-millis)),
        }
    }

    fn millis(&self, position: Option<usize>, duration: StdDuration) -> Result<i64> {
        if duration.as_secs_f64() > limits::DURATION_SECONDS_MAX {
            return Err(self.refuse(position, "a range, offset or time of more than 300 years"));
        }
        Ok(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}
