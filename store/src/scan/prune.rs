//! Which granules of a part are worth reading: by their times and numbers, then by what the index knows. Leaves out only what cannot
//! match; an index that fails leaves out nothing.

use std::io;
use std::sync::{Arc, OnceLock};

use model::{TimeRange, Timestamp};

use super::{Granule, PartGranule, Source};
use crate::disk::ReadFile;
use crate::part::Part;
use crate::snapshot::Narrow;
use crate::text::Index;

/// All blocks of a granule.
const ALL: u8 = u8::MAX;

/// The granules of a part that may hold rows of `range` with numbers between `seqs` which meet `narrow`, each with the
/// blocks to read.
pub(crate) fn pruned(part: &Arc<Part>, range: TimeRange, seqs: (u64, u64), narrow: &Narrow) -> Vec<Granule> {
    let in_range: Vec<bool> = part
        .meta()
        .granules
        .iter()
        .map(|meta| {
            range.overlaps(Timestamp::from_nanos(meta.time_min), Timestamp::from_nanos(meta.time_max))
                && meta.seq_min <= seqs.1
                && meta.seq_max >= seqs.0
        })
        .collect();
    if !in_range.contains(&true) {
        // The index is not worth opening.
        return Vec::new();
    }
    let masks = match narrow {
        Narrow::All => vec![ALL; in_range.len()],
        Narrow::Nothing => vec![0; in_range.len()],
        narrow => narrowed(part, narrow, &in_range),
    };
    let series = Arc::new(OnceLock::new());
    let selected = in_range.iter().zip(masks).enumerate().filter(|(_, (in_range, mask))| **in_range && *mask != 0);
    let granules = selected.map(|(granule, (_, blocks))| PartGranule {
        part: Arc::clone(part),
        granule,
        blocks,
        series: Arc::clone(&series),
    });
    // The last blocks of a short granule may be selected by the filter alone, and hold nothing.
    granules.filter(|granule| !granule.ranges().is_empty()).map(|granule| Granule::of(Source::Part(granule))).collect()
}

fn narrowed(part: &Part, narrow: &Narrow, wanted: &[bool]) -> Vec<u8> {
    let index = part.index();
    let Some(index) = index.as_ref() else { return vec![ALL; wanted.len()] };
    let found = match part.open_index_file() {
        Ok(file) => masks(part, index, file.as_ref(), narrow, wanted).map_err(|error| {
            part.index_failed(&error);
            error.to_string()
        }),
        Err(error) => Err(error.to_string()),
    };
    found.unwrap_or_else(|error| {
        tracing::warn!(part = %part.name(), error, "the index of a part cannot be read, and every row is");
        vec![ALL; wanted.len()]
    })
}

// For each granule the blocks that may hold a match. Granules that are not wanted may get any.
fn masks(part: &Part, index: &Index, file: &dyn ReadFile, narrow: &Narrow, wanted: &[bool]) -> io::Result<Vec<u8>> {
    match narrow {
        Narrow::All => Ok(vec![ALL; wanted.len()]),
        Narrow::Nothing => Ok(vec![0; wanted.len()]),
        Narrow::Token { column, token } => {
            let column = part.written_as(column);
            Ok(index.blocks(file, column, token, wanted)?.unwrap_or_else(|| vec![ALL; wanted.len()]))
        }
        Narrow::And(all) => {
            let mut found = vec![ALL; wanted.len()];
            let mut left = wanted.to_vec();
            for narrow in all {
                for (place, mask) in masks(part, index, file, narrow, &left)?.into_iter().enumerate() {
                    found[place] &= mask;
                    left[place] &= found[place] != 0;
                }
            }
            Ok(found)
        }
        Narrow::Or(any) => {
            let mut found = vec![0; wanted.len()];
            for narrow in any {
                for (known, mask) in found.iter_mut().zip(masks(part, index, file, narrow, wanted)?) {
                    *known |= mask;
                }
            }
            Ok(found)
        }
    }
}
