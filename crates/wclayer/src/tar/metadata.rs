//! The small streams of a file, collected until its header can be written.

use ntmeta::StreamId;

use super::entries::is_other_stream;

/// The metadata that the header of a file contains.
#[derive(Default)]
pub(super) struct Metadata {
    /// The self-relative security descriptor; `None` without a stream for it.
    pub(super) security: Option<Vec<u8>>,
    /// The list of extended attributes; empty without any.
    pub(super) ea: Vec<u8>,
    /// The reparse point's buffer; `None` without a stream for it.
    pub(super) reparse: Option<Vec<u8>>,
    /// Complete streams, including their headers, that a tar cannot express otherwise.
    pub(super) other_streams: Vec<u8>,
    /// Whether there is an unnamed data stream; its content is not stored here.
    pub(super) has_data: bool,
}

impl Metadata {
    /// Starts a stream; a repeated one replaces the first, as in the reference.
    pub(super) fn start(&mut self, id: StreamId) {
        match id {
            StreamId::SECURITY_DATA => self.security = Some(Vec::new()),
            StreamId::EA_DATA => self.ea.clear(),
            StreamId::REPARSE_DATA => self.reparse = Some(Vec::new()),
            _ => {}
        }
    }

    /// Adds bytes to the stream of that kind.
    pub(super) fn add(&mut self, id: StreamId, bytes: &[u8]) {
        let buffer = match id {
            StreamId::SECURITY_DATA => self.security.get_or_insert_default(),
            StreamId::EA_DATA => &mut self.ea,
            StreamId::REPARSE_DATA => self.reparse.get_or_insert_default(),
            id => {
                debug_assert!(is_other_stream(id), "data goes elsewhere");
                &mut self.other_streams
            }
        };
        buffer.extend_from_slice(bytes);
    }

    /// Returns the number of bytes in memory.
    pub(super) fn len(&self) -> u64 {
        let len = |stream: &Option<Vec<u8>>| stream.as_ref().map_or(0, Vec::len);
        (len(&self.security) + self.ea.len() + len(&self.reparse) + self.other_streams.len()) as u64
    }
}
