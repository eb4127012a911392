//! The records that alerts of log and trace rules carry, by the labels of their condition's elements.

use std::collections::BTreeMap;

use model::Labels;
use model::wire::alerts::AlertSample;

use super::condition::{Condition, Element, View};
use super::limits;

/// Records by the labels of the elements they made, with the time in milliseconds they were looked up at.
pub type Samples = BTreeMap<Labels, (i64, Vec<AlertSample>)>;

/// The records of each element; those that were looked up within the last minute are not looked up again.
pub fn look_up(condition: &Condition, view: &View, known: &Samples, elements: &[Element], at_ms: i64) -> Samples {
    let mut samples = Samples::new();
    let mut searches = 0;
    for element in elements {
        let fresh = known.get(&element.labels);
        let fresh = fresh.filter(|(then, _)| (0..limits::RESEND_DELAY_MS).contains(&at_ms.saturating_sub(*then)));
        let entry = match fresh {
            Some(entry) => entry.clone(),
            None if searches == limits::SAMPLED_ALERTS_MAX => continue,
            None => {
                searches += 1;
                (at_ms, condition.samples(view, &element.labels, at_ms))
            }
        };
        samples.insert(element.labels.clone(), entry);
    }
    samples
}

/// Those of one element; none if there are none.
pub fn of<'s>(samples: &'s Samples, labels: &Labels) -> &'s [AlertSample] {
    samples.get(labels).map_or(&[][..], |(_, samples)| samples)
}
