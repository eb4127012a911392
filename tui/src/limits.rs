//! Every bound of the terminal, with its reason and what breaks if it is raised.

/// Characters of one [`Safe`](crate::sanitize::Safe). A record's body may have a megabyte; no screen shows more than this of it, and each frame
/// makes its lines anew. Raised, one long record makes every frame slow.
pub const SAFE_CHARS_MAX: usize = 16_384;

/// Marks on one character. More are an attempt to write into the lines above; no language needs them.
pub const MARKS_MAX: usize = 4;
