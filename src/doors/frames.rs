//! Counts the frames of an HTTP/2 connection as its bytes are read: nine bytes of each are looked at, nothing is kept.
//!
//! The HTTP/2 library bounds what floods may cost in memory and ends some of them. It does not tell how many frames came that carry
//! nothing, and it serves them as fast as they come; and it does not tell a head that is half there from a quiet connection.

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length, kind, flags, stream.
const HEADER_BYTES: usize = 9;

/// A frame of data below this carries next to nothing.
const TINY_DATA_BYTES: u32 = 64;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Frames that were read, by what they are good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that began.
    pub heads: u64,
    /// Requests that were called off.
    pub resets: u64,
    /// Windows that were opened, as readers of answers do.
    pub windows: u64,
    /// Whatever else carries neither a request nor a part of one worth a frame.
    pub idle: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.heads += more.heads;
        self.resets += more.resets;
        self.windows += more.windows;
        self.idle += more.idle;
    }
}

/// Where in the stream of frames a connection is.
#[derive(Debug)]
pub enum Frames {
    /// It may still become HTTP/2: so many bytes of the preface were there.
    Preface(usize),
    /// It speaks something else.
    Other,
    /// It speaks HTTP/2.
    Within(Within),
}

/// See [`Frames::Within`].
#[derive(Debug, Default)]
pub struct Within {
    header: [u8; HEADER_BYTES],
    // Bytes of the next header that are there.
    filled: usize,
    // Bytes of the frame under way that are not.
    left: u32,
    // A head goes on in the next frame.
    open: bool,
}

impl Default for Frames {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl Frames {
    /// Takes the next bytes, and adds the frames that begin in them to `tally`.
    pub fn read(&mut self, mut bytes: &[u8], tally: &mut Tally) {
        if let Self::Preface(known) = self {
            let step = bytes.len().min(PREFACE.len() - *known);
            if bytes[..step] != PREFACE[*known..*known + step] {
                *self = Self::Other;
                return;
            }
            *known += step;
            if *known < PREFACE.len() {
                return;
            }
            bytes = &bytes[step..];
            *self = Self::Within(Within::default());
        }
        if let Self::Within(within) = self {
            within.read(bytes, tally);
        }
    }

    /// Whether it speaks HTTP/2.
    pub fn is_http2(&self) -> bool {
        matches!(self, Self::Within(_))
    }

    /// Whether something has begun that has to go on: the preface, a frame, a head of several frames.
    pub fn is_amid(&self) -> bool {
        match self {
            Self::Preface(known) => *known > 0,
            Self::Other => false,
            Self::Within(within) => within.filled > 0 || within.left > 0 || within.open,
        }
    }
}

impl Within {
    fn read(&mut self, mut bytes: &[u8], tally: &mut Tally) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let step = bytes.len().min(self.left as usize);
                // At most `left`, which is a u32.
                self.left -= step as u32;
                bytes = &bytes[step..];
                continue;
            }
            let step = bytes.len().min(HEADER_BYTES - self.filled);
            self.header[self.filled..self.filled + step].copy_from_slice(&bytes[..step]);
            self.filled += step;
            bytes = &bytes[step..];
            if self.filled == HEADER_BYTES {
                self.filled = 0;
                self.begin(tally);
            }
        }
    }

    fn begin(&mut self, tally: &mut Tally) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.left = u32::from_be_bytes([0, a, b, c]);
        match kind {
            HEADERS => {
                tally.heads += 1;
                self.open = flags & END_HEADERS == 0;
            }
            CONTINUATION => {
                tally.idle += 1;
                self.open &= flags & END_HEADERS == 0;
            }
            DATA if self.left >= TINY_DATA_BYTES || flags & END_STREAM != 0 => {}
            RST_STREAM => tally.resets += 1,
            WINDOW_UPDATE => tally.windows += 1,
            _ => tally.idle += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("small").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER_BYTES + payload, 0xff);
        frame
    }

    #[test]
    fn frames_are_counted_however_their_bytes_arrive() {
        let frames = [
            frame(4, 0, 18),
            frame(HEADERS, END_HEADERS, 300),
            frame(DATA, 0, 5),
            frame(DATA, 0, 70_000),
            frame(DATA, END_STREAM, 0),
            frame(WINDOW_UPDATE, 0, 4),
            frame(RST_STREAM, 0, 4),
            frame(HEADERS, 0, 10),
            frame(CONTINUATION, END_HEADERS, 10),
            frame(6, 0, 8),
        ];
        let bytes = [PREFACE, &frames.concat()].concat();
        for step in [1, 2, 7, 9, 24, 1_000, bytes.len()] {
            let (mut state, mut tally) = (Frames::default(), Tally::default());
            for piece in bytes.chunks(step) {
                state.read(piece, &mut tally);
            }
            assert_eq!(tally, Tally { heads: 2, resets: 1, windows: 1, idle: 4 }, "in pieces of {step}");
            assert!(state.is_http2() && !state.is_amid(), "{state:?}");
        }
    }

    #[test]
    fn what_is_half_there_is_told_from_what_is_whole() {
        let read = |bytes: &[u8]| {
            let mut state = Frames::default();
            state.read(bytes, &mut Tally::default());
            state
        };
        assert!(!read(b"").is_amid());
        assert!(read(&PREFACE[..5]).is_amid());
        assert!(matches!(read(b"POST /v1/logs"), Frames::Other));
        assert!(matches!(read(b"PRI * HTTP/1.1"), Frames::Other));
        let after_preface = |bytes: &[u8]| read(&[PREFACE, bytes].concat()).is_amid();
        assert!(!after_preface(&frame(4, 0, 0)));
        assert!(after_preface(&[0, 0]), "a frame's header");
        assert!(after_preface(&frame(DATA, 0, 9)[..12]), "a frame");
        assert!(after_preface(&frame(HEADERS, 0, 9)), "a head");
        assert!(after_preface(&[frame(HEADERS, 0, 9), frame(CONTINUATION, 0, 9)].concat()));
        assert!(!after_preface(&[frame(HEADERS, 0, 9), frame(CONTINUATION, END_HEADERS, 9)].concat()));
    }
}
