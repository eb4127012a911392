//! Selectors, ranges and subqueries.

use std::time::{Duration, SystemTime};

use promql_parser::label::{MatchOp, Matcher as ParsedMatcher};
use promql_parser::parser::{AtModifier, MatrixSelector, Offset, SubqueryExpr, VectorSelector};

use super::{Builder, Result};
use crate::promql::limits;
use crate::promql::matcher::{Condition, Matcher, anchored};
use crate::promql::plan::{At, RangeSelect, Select, Subquery, When};

impl Builder<'_> {
    pub(super) fn range_select(&mut self, selector: &MatrixSelector) -> Result<RangeSelect> {
        let select = self.select(&selector.vs)?;
        let range_ms = self.millis(select.position, selector.range)?;
        Ok(RangeSelect { select, range_ms })
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
        let when = self.when(position, selector.offset.as_ref(), selector.at.as_ref())?;
        Ok(Select { matchers, when, position })
    }

    fn when(&self, position: Option<usize>, offset: Option<&Offset>, at: Option<&AtModifier>) -> Result<When> {
        let offset_ms = match offset {
            None => 0,
            Some(Offset::Pos(offset)) => self.millis(position, *offset)?,
            Some(Offset::Neg(offset)) => -self.millis(position, *offset)?,
        };
        Ok(When { offset_ms, at: at.map(|at| self.at(position, at)).transpose()? })
    }

    pub(super) fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<Subquery> {
        let position = self.locator.upcoming();
        // The inner expression comes first in the text.
        let vector = self.vector(&subquery.expr, "subquery")?;
        let range_ms = self.millis(position, subquery.range)?;
        let step_ms = subquery.step.map(|step| self.millis(position, step)).transpose()?;
        if step_ms == Some(0) {
            return Err(self.refuse(self.locator.modifier("["), "the step of a subquery is less than a millisecond"));
        }
        let when = self.when(position, subquery.offset.as_ref(), subquery.at.as_ref())?;
        Ok(Subquery { vector, range_ms, step_ms, when, position })
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

    fn millis(&self, position: Option<usize>, duration: Duration) -> Result<i64> {
        if duration.as_secs_f64() > limits::DURATION_SECONDS_MAX {
            return Err(self.refuse(position, "a range, offset or time of more than 300 years"));
        }
        Ok(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}
