//! What is known of a target's series: their labels, so that a line that was seen before costs a look-up, and which of them are
//! alive, so that their end is noticed. Turns a body into samples; knows nothing of HTTP, and not what becomes of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::config::Job;
use super::exposition::{Entry, Exemplar, Exposition, Format, Kind, Malformed, Sample, read_series};
use super::harvest::{Alive, Family, Fault, Harvest, Series, Taken, TakenExemplar};
use super::labels::{LabelSet, Labels, NAME};
use super::relabel;
use crate::limits::{SCRAPE_AHEAD_MAX_MS, SCRAPE_FAMILIES_MAX};

/// The series of one target.
#[derive(Debug, Default)]
pub struct Known {
    lines: HashMap<Box<str>, Line>,
    // Families by their places, which lines keep; and the places by names.
    families: Vec<Arc<Family>>,
    places: HashMap<Box<str>, usize>,
    // Grows with each change of the families.
    edition: u64,
    round: u64,
    // Whose last stored sample is no end.
    stored: Alive,
}

// What a text of a series came to.
#[derive(Debug)]
struct Line {
    // Nothing if it is dropped.
    series: Option<Arc<Series>>,
    family: Option<usize>,
    round: u64,
    // Of the last sample with a time of its own.
    last: Option<(i64, u64)>,
    exemplar: Option<Box<(String, u64, Option<i64>)>>,
}

/// Whose body it is, and when it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// How.
    pub job: &'a Job,
    /// The labels of the target.
    pub labels: &'a LabelSet,
    /// When.
    pub at_millis: i64,
    /// How much may be remembered.
    pub room: Room,
}

/// What there is room for.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Samples of one body.
    pub samples: u64,
    /// Lines of this target, those of the scrape before included.
    pub lines: u64,
}

impl Room {
    /// For anything.
    pub const ENDLESS: Room = Room { samples: u64::MAX, lines: u64::MAX };
}

impl Known {
    /// Reads a body. What was read up to a fault is counted, and not to be stored: half a scrape looks like one with fewer series.
    pub fn take(&mut self, body: &[u8], format: Format, asked: Asked<'_>) -> (Harvest, Result<(), Fault>) {
        self.round += 1;
        if self.families.len() > SCRAPE_FAMILIES_MAX {
            (self.families, self.places, self.lines) = Default::default();
        }
        let mut harvest = Harvest::default();
        let read = self.read(body, format, asked, &mut harvest);
        if read.is_ok() {
            self.lines.retain(|_, line| line.round == self.round);
        } else {
            self.lost();
        }
        (harvest, read)
    }

    /// The series that were alive in the last scrape that was stored and are not among these.
    pub fn ended(&self, alive: &Alive) -> Vec<Arc<Series>> {
        self.stored.iter().filter(|series| !alive.contains(*series)).cloned().collect()
    }

    /// A scrape with these series was stored.
    pub fn stored(&mut self, alive: Alive) {
        self.stored = alive;
    }

    /// A scrape was not: what it had with a time of its own may come again.
    pub fn lost(&mut self) {
        for entry in self.lines.values_mut() {
            (entry.last, entry.exemplar) = (None, None);
        }
    }

    /// The same series under another configuration: what their lines come to is to be found out anew.
    pub fn reconfigured(self) -> Self {
        Self { stored: self.stored, ..Self::default() }
    }

    /// How many lines are remembered.
    pub fn lines(&self) -> u64 {
        self.lines.len() as u64
    }

    /// A number that is another one when [`Known::families`] are others.
    pub fn edition(&self) -> u64 {
        self.edition
    }

    /// What is known of families, by name.
    pub fn families(&self) -> impl Iterator<Item = (&str, &Arc<Family>)> {
        self.places.iter().map(|(name, place)| (&**name, &self.families[*place]))
    }

    fn read(&mut self, body: &[u8], format: Format, asked: Asked<'_>, harvest: &mut Harvest) -> Result<(), Fault> {
        let mut exposition = Exposition::new(body, format)?;
        let limit = asked.job.limits.samples;
        while let Some(entry) = exposition.next() {
            match entry? {
                Entry::Kind(name, kind) => self.family(&name, |family| family.kind = kind),
                Entry::Help(name, help) => {
                    self.family(&name, |family| {
                        if *family.help != *help {
                            family.help = (*help).into()
                        }
                    });
                }
                Entry::Unit(name, unit) => {
                    self.family(&name, |family| {
                        if *family.unit != *unit {
                            family.unit = unit.into()
                        }
                    });
                }
                Entry::Sample(sample) => self.sample(&sample, exposition.line(), asked, harvest)?,
            }
        }
        if limit > 0 && harvest.kept > limit {
            return Err(Fault::Samples { kept: harvest.kept, limit });
        }
        Ok(())
    }

    fn family(&mut self, name: &str, change: impl FnOnce(&mut Family)) {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.families.push(Arc::default());
                self.places.insert(name.into(), self.families.len() - 1);
                self.edition += 1;
                self.families.len() - 1
            }
        };
        let mut family = (*self.families[place]).clone();
        change(&mut family);
        if family != *self.families[place] {
            self.families[place] = Arc::new(family);
            self.edition += 1;
        }
    }

    fn sample(
        &mut self,
        sample: &Sample<'_>,
        line: usize,
        asked: Asked<'_>,
        harvest: &mut Harvest,
    ) -> Result<(), Fault> {
        harvest.scraped += 1;
        let too_many = |max, what| Err(Fault::TooMany { line, max, what });
        if harvest.scraped > asked.room.samples {
            return too_many(asked.room.samples, "samples, which is what the memory of one request allows");
        }
        if self.lines.len() as u64 >= asked.room.lines && !self.lines.contains_key(sample.series) {
            return too_many(asked.room.lines, "series, which is what collector.series_max leaves to this target");
        }
        if !self.lines.contains_key(sample.series) {
            let (series, family) = self.make(sample.series, line, asked)?;
            harvest.added += u64::from(series.is_some());
            let line = Line { series, family, round: self.round, last: None, exemplar: None };
            self.lines.insert(sample.series.into(), line);
        }
        let Some(entry) = self.lines.get_mut(sample.series) else { return Ok(()) };
        entry.round = self.round;
        let Some(series) = &mut entry.series else { return Ok(()) };
        harvest.kept += 1;
        let limit = asked.job.limits.samples;
        if limit > 0 && harvest.kept > limit {
            // The others are only counted.
            return Ok(());
        }
        if let Some(family) = entry.family.map(|place| &self.families[place])
            && !Arc::ptr_eq(&series.family, family)
        {
            *series = Arc::new(Series { labels: series.labels.clone(), family: Arc::clone(family) });
        }
        let own_time = sample.millis.filter(|_| asked.job.honor_timestamps);
        match own_time {
            None => {
                entry.last = None;
                if !harvest.alive.insert(Arc::clone(series)) {
                    harvest.left_out.duplicates += 1;
                    return Ok(());
                }
            }
            Some(millis) => {
                if asked.job.track_timestamps_staleness {
                    harvest.alive.insert(Arc::clone(series));
                }
                let this = (millis, sample.value.to_bits());
                match entry.last {
                    // As it was: there is nothing to store.
                    Some(last) if last == this => return Ok(()),
                    Some((last, _)) if millis <= last => {
                        harvest.left_out.out_of_order += 1;
                        return Ok(());
                    }
                    _ if millis.saturating_sub(asked.at_millis) > SCRAPE_AHEAD_MAX_MS => {
                        harvest.left_out.ahead += 1;
                        return Ok(());
                    }
                    _ => entry.last = Some(this),
                }
            }
        }
        let millis = own_time.unwrap_or(asked.at_millis);
        let exemplar = match &sample.exemplar {
            Some(exemplar) if is_new(exemplar, &mut entry.exemplar) => {
                let labels = read_series(exemplar.labels).map_err(|what| Malformed { line, what })?;
                let millis = exemplar.millis.unwrap_or(millis);
                Some(TakenExemplar { labels: labels.finish(), value: exemplar.value, millis })
            }
            _ => None,
        };
        harvest.samples.push(Taken { series: Arc::clone(series), value: sample.value, millis, exemplar });
        Ok(())
    }

    // What a text that was not seen before comes to.
    fn make(&self, text: &str, line: usize, asked: Asked<'_>) -> Result<(Option<Arc<Series>>, Option<usize>), Fault> {
        let mut labels = read_series(text).map_err(|what| Malformed { line, what })?;
        let family = self.place_of(labels.get(NAME));
        if labels.get(NAME).is_empty() {
            return Err(Malformed { line, what: "the series has no name".to_owned() }.into());
        }
        join(&mut labels, asked.labels, asked.job.honor_labels);
        if !relabel::apply(&asked.job.metric_relabel, &mut labels) || labels.is_empty() {
            return Ok((None, family));
        }
        if labels.get(NAME).is_empty() {
            return Err(Malformed { line, what: "relabelling leaves the series no name".to_owned() }.into());
        }
        within_limits(&labels, line, asked.job)?;
        let of = family.map_or_else(Arc::default, |place| Arc::clone(&self.families[place]));
        Ok((Some(Arc::new(Series { labels: labels.finish(), family: of })), family))
    }

    // The family of a metric: of its own name, or of what is left without a suffix that such families have.
    fn place_of(&self, metric: &str) -> Option<usize> {
        if let Some(place) = self.places.get(metric) {
            return Some(*place);
        }
        const SUFFIXES: [&str; 8] = ["_total", "_bucket", "_sum", "_count", "_gsum", "_gcount", "_info", "_created"];
        let (name, suffix) = SUFFIXES.into_iter().find_map(|suffix| Some((metric.strip_suffix(suffix)?, suffix)))?;
        let place = *self.places.get(name)?;
        let fits = match self.families[place].kind {
            Kind::Counter => suffix == "_total",
            Kind::Histogram => matches!(suffix, "_bucket" | "_sum" | "_count"),
            Kind::GaugeHistogram => matches!(suffix, "_bucket" | "_gsum" | "_gcount"),
            Kind::Summary => matches!(suffix, "_sum" | "_count"),
            Kind::Info => suffix == "_info",
            Kind::Unknown | Kind::Gauge | Kind::StateSet => false,
        };
        fits.then_some(place)
    }
}

// An exemplar is shown as long as there is no other: it is stored once.
fn is_new(exemplar: &Exemplar<'_>, last: &mut Option<Box<(String, u64, Option<i64>)>>) -> bool {
    let bits = exemplar.value.to_bits();
    let is_last =
        last.as_ref().is_some_and(|last| (last.0.as_str(), last.1, last.2) == (exemplar.labels, bits, exemplar.millis));
    if !is_last {
        *last = Some(Box::new((exemplar.labels.to_owned(), bits, exemplar.millis)));
    }
    !is_last
}

/// Gives what is scraped, or said about scraping, the labels of its target. Where both have one, the target's counts and the other
/// is called `exported_...`, unless the other is honoured.
pub(super) fn join<'a>(labels: &mut Labels<'a>, of_target: &'a LabelSet, honor: bool) {
    let mut displaced: Vec<(&str, String)> = Vec::new();
    for (name, value) in of_target.iter() {
        if honor && labels.is_named(name) {
            continue;
        }
        let scraped = labels.get(name);
        if !honor && !scraped.is_empty() {
            displaced.push((name, scraped.to_owned()));
        }
        labels.set(name, value);
    }
    displaced.sort_by_key(|(name, _)| name.len());
    for (name, value) in displaced {
        let mut exported = format!("exported_{name}");
        while !labels.get(&exported).is_empty() {
            exported.insert_str(0, "exported_");
        }
        labels.set(Cow::Owned(exported), value);
    }
}

fn within_limits(labels: &Labels<'_>, line: usize, job: &Job) -> Result<(), Fault> {
    let limits = job.limits;
    let beyond = |limit: u64, number: usize| limit > 0 && number as u64 > limit;
    let fault = |limit: &'static str, what: String| {
        let series = labels.get(NAME).chars().take(50).collect();
        Err(Fault::Labels { line, limit, what, series })
    };
    let count = labels.iter().count();
    if beyond(limits.labels, count) {
        return fault("label_limit", format!("{count} labels, limit {},", limits.labels));
    }
    for (name, value) in labels.iter() {
        let short: String = name.chars().take(50).collect();
        if beyond(limits.label_name_bytes, name.len()) {
            let what = format!("{} bytes of the name {short:?}, limit {},", name.len(), limits.label_name_bytes);
            return fault("label_name_length_limit", what);
        }
        if beyond(limits.label_value_bytes, value.len()) {
            let what = format!("{} bytes of the value of {short:?}, limit {},", value.len(), limits.label_value_bytes);
            return fault("label_value_length_limit", what);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
