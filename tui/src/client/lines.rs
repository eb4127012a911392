//! A streamed body cut into lines, with bounds on a line's length and on the server's silence.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{ClientError, LINE_BYTES_MAX};

/// Reads a body line by line.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    path: String,
    url: String,
    buffer: BytesMut,
    // Bytes of the buffer that are known to hold no line feed.
    searched: usize,
    silence_max: Option<Duration>,
    ended: bool,
}

impl Lines {
    pub(super) fn new(body: Incoming, path: String, url: String, silence_max: Option<Duration>) -> Self {
        Self { body, path, url, buffer: BytesMut::new(), searched: 0, silence_max, ended: false }
    }

    /// The request's path, for errors.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The next line without its line feed; `None` at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(offset) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(self.searched + offset);
                self.buffer.advance(1);
                self.searched = 0;
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(Some(line.freeze()));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(ClientError::TooLarge { path: self.path.clone(), limit: LINE_BYTES_MAX });
            }
            if self.ended {
                self.searched = 0;
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        let frame = match self.silence_max {
            Some(waited) => tokio::time::timeout(waited, self.body.frame())
                .await
                .map_err(|_| ClientError::Timeout { url: self.url.clone(), waited })?,
            None => self.body.frame().await,
        };
        match frame {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.buffer.extend_from_slice(&data);
                }
                Ok(())
            }
            Some(Err(source)) => Err(ClientError::CutOff { path: self.path.clone(), source: Some(source) }),
            None => {
                self.ended = true;
                Ok(())
            }
        }
    }
}
