//! Putting blobs and documents into a registry.
//!
//! A blob goes up in pieces of 4 MiB, because some registries and proxies refuse larger ones. After
//! an error the registry is asked how much it has, and the upload goes on from there.

use std::io::{Read, Seek, SeekFrom};

use super::Repository;
use super::session::{Reply, Request};
use crate::digest::Digest;
use crate::error::{Error, RegistryError, Result};
use crate::hub::Progress;

/// The size of a piece, in bytes.
const PIECE: usize = 4 << 20;
/// How often the registry may have to be asked in one upload without getting on.
const FRUITLESS: u32 = 4;

impl Repository {
    /// Lets the repository have a blob of another one of the registry, without sending it. Returns
    /// whether that was done.
    ///
    /// # Errors
    ///
    /// Returns what can go wrong with a registry.
    pub fn mount_blob(&self, digest: &Digest, from: &str, progress: &dyn Progress) -> Result<bool> {
        let scope = format!("{} repository:{from}:pull", self.push_scope());
        let request = Request {
            method: "POST",
            url: self.url(&format!("blobs/uploads/?mount={digest}&from={from}")),
            headers: Vec::new(),
            body: Some(&[]),
            scope: &scope,
        };
        match self.session.send(&request, progress) {
            Ok(reply) if reply.status == 201 => Ok(true),
            // An upload was started instead: it is left to end by itself.
            Ok(_) => Ok(false),
            Err(Error::Registry(RegistryError::Unauthorized { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a blob of `size` bytes.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Input`] if the blob cannot be read, or what can go wrong with a registry;
    /// if the bytes are not those of the digest, the registry refuses them.
    pub fn push_blob(
        &self,
        digest: &Digest,
        size: u64,
        blob: &mut (impl Read + Seek),
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut location = self.start_upload(progress)?;
        let mut piece = Vec::new();
        let (mut sent, mut fruitless) = (0, 0);
        while sent < size {
            let count = usize::try_from(size - sent).unwrap_or(PIECE).min(PIECE);
            piece.resize(count, 0);
            let read = blob
                .seek(SeekFrom::Start(sent))
                .and_then(|_| blob.read_exact(&mut piece));
            read.map_err(Error::Input)?;
            let reply = self.patch(&location, sent, &piece, progress);
            match reply {
                Ok(reply) if matches!(reply.status, 202 | 204) => {
                    sent += count as u64;
                    progress.advance(count as u64);
                    fruitless = 0;
                    location = self.next_location(&reply)?;
                }
                reply => {
                    fruitless += 1;
                    if fruitless > FRUITLESS {
                        return Err(match reply {
                            Ok(reply) => reply.refused(),
                            Err(error) => error,
                        });
                    }
                    if let Err(Error::Cancelled) = reply {
                        return Err(Error::Cancelled);
                    }
                    (location, sent) = match self.upload_state(&location, progress)? {
                        Some((location, has)) if has <= size => (location, has),
                        // The upload is gone: from the start.
                        _ => (self.start_upload(progress)?, 0),
                    };
                }
            }
        }
        self.end_upload(&location, digest, progress)
    }

    fn start_upload(&self, progress: &dyn Progress) -> Result<String> {
        let request = Request {
            method: "POST",
            url: self.url("blobs/uploads/"),
            headers: Vec::new(),
            body: Some(&[]),
            scope: self.push_scope(),
        };
        let reply = self.session.send(&request, progress)?;
        match reply.status {
            202 => self.next_location(&reply),
            _ => Err(reply.refused()),
        }
    }

    fn patch(
        &self,
        location: &str,
        from: u64,
        piece: &[u8],
        progress: &dyn Progress,
    ) -> Result<Reply> {
        let request = Request {
            method: "PATCH",
            url: location.to_owned(),
            headers: vec![
                ("content-type", "application/octet-stream".to_owned()),
                (
                    "content-range",
                    format!("{from}-{}", from + piece.len() as u64 - 1),
                ),
            ],
            body: Some(piece),
            scope: self.push_scope(),
        };
        self.session.send_once(&request, progress)
    }

    /// Asks how much of an upload the registry has; `None` when it knows nothing of it.
    fn upload_state(
        &self,
        location: &str,
        progress: &dyn Progress,
    ) -> Result<Option<(String, u64)>> {
        let request = Request {
            method: "GET",
            url: location.to_owned(),
            headers: Vec::new(),
            body: None,
            scope: self.push_scope(),
        };
        let reply = self.session.send(&request, progress)?;
        if reply.status != 204 {
            return Ok(None);
        }
        let range = reply.header("range").unwrap_or_default();
        let last = range
            .rsplit('-')
            .next()
            .and_then(|last| last.parse::<u64>().ok());
        // `0-0` is one byte, or none: nothing lets us tell, so that the upload starts again.
        let has = last
            .filter(|last| *last > 0)
            .map_or(0, |last| last.saturating_add(1));
        let location = self
            .next_location(&reply)
            .unwrap_or_else(|_| location.to_owned());
        Ok((has > 0).then_some((location, has)))
    }

    fn end_upload(&self, location: &str, digest: &Digest, progress: &dyn Progress) -> Result<()> {
        let separator = if location.contains('?') { '&' } else { '?' };
        let request = Request {
            method: "PUT",
            url: format!("{location}{separator}digest={digest}"),
            headers: Vec::new(),
            body: Some(&[]),
            scope: self.push_scope(),
        };
        let reply = self.session.send(&request, progress)?;
        match reply.status {
            201 | 204 => Ok(()),
            // The answer to the first attempt was lost, perhaps.
            404 if self.has_blob(digest, progress)? => Ok(()),
            _ => Err(reply.refused()),
        }
    }

    fn next_location(&self, reply: &Reply) -> Result<String> {
        match reply.header("location") {
            Some(location) => Ok(self.session.located(location)),
            None => Err(RegistryError::Answer {
                url: reply.url.clone(),
                problem: "no place to upload to",
            }
            .into()),
        }
    }

    /// Sends a document under a tag or its digest.
    ///
    /// # Errors
    ///
    /// Returns what can go wrong with a registry.
    pub fn push_document(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
        progress: &dyn Progress,
    ) -> Result<()> {
        let request = Request {
            method: "PUT",
            url: self.url(&format!("manifests/{reference}")),
            headers: vec![("content-type", media_type.to_owned())],
            body: Some(bytes),
            scope: self.push_scope(),
        };
        let reply = self.session.send(&request, progress)?;
        match reply.status {
            200..=299 => Ok(()),
            _ => Err(reply.refused()),
        }
    }
}
