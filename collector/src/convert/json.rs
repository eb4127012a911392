//! OTLP/JSON: the text of an export request to the same messages that protobuf gives.
//!
//! A pull parser ([`reader`]) goes over the text once and fills the messages as it goes ([`messages`]); no tree of JSON values
//! is built, and what is not OTLP's is checked to be JSON and skipped. Strict where the specification is (ids are hex, numbers
//! are exact, text is UTF-8), lenient where it asks for it: unknown keys, null, numbers as text, both alphabets of base64.

mod messages;
mod number;
mod place;
mod reader;
mod weigh;

pub(super) use self::messages::{logs_request, metrics_request, traces_request};
pub(super) use self::reader::{Read, Reader};
use super::weight::Request;
use crate::{DecodeError, Outcome};

/// Reads a request; what was read in another way than it was written is warned about in the outcome.
pub(super) fn read<'a, M>(
    bytes: &'a [u8],
    request: Request,
    root: fn(&mut Reader<'a>) -> Read<M>,
    bytes_max: u64,
    outcome: &mut Outcome,
) -> Result<M, DecodeError> {
    let message = request.message();
    let refused =
        |offset: usize, what: String| DecodeError::Json { message, place: place::at(bytes, offset), offset, what };
    let text =
        std::str::from_utf8(bytes).map_err(|error| refused(error.valid_up_to(), "the text is not UTF-8".to_owned()))?;
    if !weigh::fits(request, text, bytes_max) {
        return Err(DecodeError::TooManyParts { bytes_max });
    }
    let mut reader = Reader::new(text);
    let read = root(&mut reader).and_then(|message| reader.end().map(|()| message));
    let message = read.map_err(|fault| refused(fault.offset, fault.what))?;
    for (warning, hint) in reader.hints() {
        outcome.warnings.note(warning, hint.count, || place::at(bytes, hint.first));
    }
    Ok(message)
}
