//! A series of remote write as it stands in the bytes, in either version: its labels and what is below them.

use store::schema::ValueRef;

use super::histogram::Histogram;
use super::{NAME, STALE};
use crate::Reason;
use crate::convert::Limits;
use crate::convert::any::Pair;
use crate::convert::weight::{self, Budget};
use crate::convert::wire::{Fields, Key, Walk, Wire};

/// One series. Read again and again, so that its lists keep their memory.
#[derive(Debug, Default)]
pub(super) struct Series<'a> {
    pub(super) labels: Labels<'a>,
    pub(super) samples: Vec<Sample>,
    pub(super) histograms: Vec<Histogram>,
    pub(super) exemplars: Vec<Exemplar<'a>>,
    pub(super) kind: Kind,
    pub(super) description: &'a str,
    pub(super) unit: &'a str,
    pub(super) created_millis: i64,
}

#[derive(Debug, Default)]
pub(super) struct Labels<'a> {
    all: Vec<(&'a str, &'a str)>,
    // A number beyond the texts that there are, or a name without a value.
    is_broken: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) millis: i64,
    pub(super) start_millis: i64,
}

#[derive(Debug, Default)]
pub(super) struct Exemplar<'a> {
    pub(super) labels: Labels<'a>,
    pub(super) value: f64,
    pub(super) millis: i64,
}

/// What version 2 says of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Other,
    Counter,
}

impl<'a> Series<'a> {
    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.samples.clear();
        self.histograms.clear();
        self.exemplars.clear();
        (self.kind, self.description, self.unit, self.created_millis) = (Kind::Other, "", "", 0);
    }

    pub(super) fn read_one(&mut self, mut fields: Fields<'a>, budget: &mut Budget) -> Walk<()> {
        budget.take(&weight::REMOTE_SERIES)?;
        while let Some(key) = fields.key()? {
            match key.number {
                1 => self.labels.add_one(fields.message(key)?, budget)?,
                2 => self.samples.push(Sample::read(fields.message(key)?, budget)?),
                3 => self.exemplars.push(Exemplar::read_one(fields.message(key)?, budget)?),
                4 => self.histograms.push(Histogram::read(fields.message(key)?, budget)?),
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    pub(super) fn read_two(&mut self, mut fields: Fields<'a>, symbols: &[&'a str], budget: &mut Budget) -> Walk<()> {
        budget.take(&weight::REMOTE_SERIES)?;
        let mut metadata = None;
        while let Some(key) = fields.key()? {
            match key.number {
                1 => self.labels.add_references(&mut fields, key, symbols, budget)?,
                2 => self.samples.push(Sample::read(fields.message(key)?, budget)?),
                3 => self.histograms.push(Histogram::read(fields.message(key)?, budget)?),
                4 => self.exemplars.push(Exemplar::read_two(fields.message(key)?, symbols, budget)?),
                5 => metadata = Some(fields.message(key)?),
                // As its drafts had it, and Prometheus 3.
                6 => self.created_millis = fields.varint(key)?.cast_signed(),
                _ => fields.skip(key)?,
            }
        }
        let Some(mut metadata) = metadata else { return Ok(()) };
        let text = |reference: u32| symbols.get(reference as usize).copied().unwrap_or_default();
        while let Some(key) = metadata.key()? {
            match key.number {
                1 if metadata.i32(key)? == 1 => self.kind = Kind::Counter,
                1 => {}
                3 => self.description = text(metadata.u32(key)?),
                4 => self.unit = text(metadata.u32(key)?),
                _ => metadata.skip(key)?,
            }
        }
        Ok(())
    }
}

impl<'a> Labels<'a> {
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.is_broken = false;
    }

    fn add_one(&mut self, mut fields: Fields<'a>, budget: &mut Budget) -> Walk<()> {
        budget.take(&weight::KEY_VALUE)?;
        let (mut name, mut value) = ("", "");
        while let Some(key) = fields.key()? {
            match key.number {
                1 => name = fields.text(key)?,
                2 => value = fields.text(key)?,
                _ => fields.skip(key)?,
            }
        }
        self.add(name, value);
        Ok(())
    }

    // Pairs of places among the texts.
    fn add_references(
        &mut self,
        fields: &mut Fields<'a>,
        key: Key,
        symbols: &[&'a str],
        budget: &mut Budget,
    ) -> Walk<()> {
        let mut references = Vec::new();
        fields.varint_list(key, |reference| references.push(reference))?;
        let text = |reference: u64| usize::try_from(reference).ok().and_then(|place| symbols.get(place)).copied();
        let (pairs, rest) = references.as_chunks::<2>();
        self.is_broken |= !rest.is_empty();
        for [name, value] in pairs {
            budget.take(&weight::KEY_VALUE)?;
            match (text(*name), text(*value)) {
                (Some(name), Some(value)) => self.add(name, value),
                _ => self.is_broken = true,
            }
        }
        Ok(())
    }

    // A label without a value is none.
    fn add(&mut self, name: &'a str, value: &'a str) {
        if !value.is_empty() {
            self.all.push((name, value));
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(super) fn fault(&self, limits: &Limits) -> Option<Reason> {
        let mut names: Vec<&str> = self.all.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let is_repeated = names.windows(2).any(|pair| pair[0] == pair[1]);
        let too_long = names.iter().any(|name| name.len() > limits.attribute_key_bytes_max);
        let too_large = self.all.iter().any(|(_, value)| value.len() > limits.attribute_value_bytes_max);
        let faults = [
            (self.is_broken, Reason::LabelReference),
            (is_repeated || names.first().is_some_and(|name| name.is_empty()), Reason::LabelNames),
            (self.all.len() > limits.labels_max, Reason::Labels),
            (too_long, Reason::AttributeKey),
            (too_large, Reason::AttributeValue),
        ];
        faults.into_iter().find(|(is_so, _)| *is_so).map(|(_, reason)| reason)
    }

    // All but the metric's name.
    pub(super) fn pairs(&self) -> Vec<Pair<'a>> {
        let labels = self.all.iter().filter(|(name, _)| *name != NAME);
        labels.map(|(name, value)| (*name, ValueRef::String(value))).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.all.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl Sample {
    fn read(mut fields: Fields<'_>, budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::NUMBER_POINT)?;
        let mut sample = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => sample.value = fields.double(key)?,
                2 => sample.millis = fields.varint(key)?.cast_signed(),
                3 if key.wire == Wire::Varint => sample.start_millis = fields.varint(key)?.cast_signed(),
                _ => fields.skip(key)?,
            }
        }
        Ok(sample)
    }

    pub(super) fn is_stale(&self) -> bool {
        self.value.to_bits() == STALE
    }
}

impl<'a> Exemplar<'a> {
    pub(super) fn read_one(mut fields: Fields<'a>, budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::EXEMPLAR)?;
        let mut exemplar = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => exemplar.labels.add_one(fields.message(key)?, budget)?,
                2 => exemplar.value = fields.double(key)?,
                3 => exemplar.millis = fields.varint(key)?.cast_signed(),
                _ => fields.skip(key)?,
            }
        }
        Ok(exemplar)
    }

    pub(super) fn read_two(mut fields: Fields<'a>, symbols: &[&'a str], budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::EXEMPLAR)?;
        let mut exemplar = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => exemplar.labels.add_references(&mut fields, key, symbols, budget)?,
                2 => exemplar.value = fields.double(key)?,
                3 => exemplar.millis = fields.varint(key)?.cast_signed(),
                _ => fields.skip(key)?,
            }
        }
        Ok(exemplar)
    }
}
