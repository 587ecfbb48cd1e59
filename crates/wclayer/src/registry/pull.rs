//! Taking documents and blobs out of a registry.
//!
//! A blob is read as a stream that goes on after a cut where it was, as long as something comes: a
//! range is asked for, and where the registry sends everything again, what is known is passed over.

use std::io::{self, Read};

use super::Repository;
use super::session::{Reply, Request};
use crate::digest::Digest;
use crate::error::{Error, RegistryError, Result};
use crate::hub::Progress;
use crate::image::{INDEX_TYPES, MANIFEST_TYPES, MAX_DOCUMENT};

/// A document of a registry, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawDocument {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its media type, as the registry says.
    pub media_type: String,
    /// Its digest, computed.
    pub digest: Digest,
}

impl Repository {
    /// Fetches an index or a manifest by its tag or digest.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError::NotFound`] if there is none, [`RegistryError::Digest`] if it is not
    /// the one asked for, or what else can go wrong with a registry.
    pub fn document(&self, reference: &str, progress: &dyn Progress) -> Result<RawDocument> {
        let accept = [MANIFEST_TYPES, INDEX_TYPES].concat().join(", ");
        let url = self.url(&format!("manifests/{reference}"));
        let request = Request {
            method: "GET",
            url,
            headers: vec![("accept", accept)],
            body: None,
            scope: self.pull_scope(),
        };
        let reply = self.session.send(&request, progress)?;
        match reply.status {
            200 => self.read_document(reply, reference),
            404 => Err(self.not_found(reference)),
            _ => Err(reply.refused()),
        }
    }

    fn read_document(&self, reply: Reply, reference: &str) -> Result<RawDocument> {
        let media_type = reply.header("content-type").unwrap_or_default();
        let media_type = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let url = reply.url.clone();
        let mut bytes = Vec::new();
        let body = reply.body.into_reader();
        let read = body.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes);
        read.map_err(|error| RegistryError::Transport {
            action: "GET",
            url: url.clone(),
            source: error.into(),
        })?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            let problem = "a document of more than 4 MiB";
            return Err(RegistryError::Answer { url, problem }.into());
        }
        let digest = Digest::of(&bytes);
        match reference.parse::<Digest>() {
            Ok(wanted) if wanted != digest => Err(RegistryError::Digest {
                digest: wanted,
                found: digest,
            }
            .into()),
            _ => Ok(RawDocument {
                bytes,
                media_type,
                digest,
            }),
        }
    }

    /// Returns whether the repository has a blob.
    ///
    /// # Errors
    ///
    /// Returns what can go wrong with a registry.
    pub fn has_blob(&self, digest: &Digest, progress: &dyn Progress) -> Result<bool> {
        let request = Request {
            method: "HEAD",
            url: self.url(&format!("blobs/{digest}")),
            headers: Vec::new(),
            body: None,
            scope: self.pull_scope(),
        };
        let reply = self.session.send(&request, progress)?;
        match reply.status {
            200..=299 => Ok(true),
            404 => Ok(false),
            _ => Err(reply.refused()),
        }
    }

    /// Starts to read a blob of `size` bytes, from an offset on. Its digest is for the reader to
    /// check.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError::NotFound`] if there is none, or what can go wrong with a registry.
    pub fn blob<'a>(
        &'a self,
        digest: &Digest,
        size: u64,
        from: u64,
        progress: &'a dyn Progress,
    ) -> Result<BlobDownload<'a>> {
        let mut download = BlobDownload {
            repository: self,
            digest: *digest,
            size,
            position: from.min(size),
            body: None,
            fruitless: 0,
            progress,
        };
        if size > 0 {
            download.connect()?;
        }
        Ok(download)
    }
}

/// How often a connection may be cut without a byte in between.
const FRUITLESS: u32 = 4;

/// A blob that is being read.
pub struct BlobDownload<'a> {
    repository: &'a Repository,
    digest: Digest,
    size: u64,
    position: u64,
    body: Option<ureq::BodyReader<'static>>,
    /// Connections since the last byte.
    fruitless: u32,
    progress: &'a dyn Progress,
}

impl BlobDownload<'_> {
    fn connect(&mut self) -> Result<()> {
        let mut headers = Vec::new();
        if self.position > 0 {
            // Closed: some registries refuse open ranges.
            headers.push((
                "range",
                format!("bytes={}-{}", self.position, self.size - 1),
            ));
        }
        let request = Request {
            method: "GET",
            url: self.repository.url(&format!("blobs/{}", self.digest)),
            headers,
            body: None,
            scope: self.repository.pull_scope(),
        };
        let reply = self.repository.session.send(&request, self.progress)?;
        let skipped = match reply.status {
            // Everything, though a part was asked for.
            200 => self.position,
            206 => {
                self.check_range(&reply)?;
                0
            }
            404 => return Err(self.repository.not_found(&self.digest.to_string())),
            _ => return Err(reply.refused()),
        };
        let expected = self.size - self.position + skipped;
        let told = reply
            .header("content-length")
            .and_then(|text| text.parse().ok());
        if let Some(found) = told.filter(|told: &u64| *told != expected) {
            return Err(RegistryError::Size {
                digest: self.digest,
                expected: self.size,
                found: found.saturating_add(self.position - skipped),
            }
            .into());
        }
        let mut body = reply.body.into_reader();
        let passed = io::copy(&mut (&mut body).take(skipped), &mut io::sink());
        // Cut again: the next one starts where we are.
        self.body = passed.is_ok_and(|passed| passed == skipped).then_some(body);
        Ok(())
    }

    fn check_range(&self, reply: &Reply) -> Result<(), RegistryError> {
        let range = reply.header("content-range").unwrap_or_default();
        let start = range
            .strip_prefix("bytes ")
            .and_then(|range| range.split('-').next());
        match start.and_then(|start| start.trim().parse::<u64>().ok()) {
            Some(start) if start == self.position => Ok(()),
            _ => Err(RegistryError::Answer {
                url: reply.url.clone(),
                problem: "another range than was asked for",
            }),
        }
    }

    fn next_bytes(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        if count == 0 {
            return Ok(0);
        }
        loop {
            if self.progress.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let read = self
                .body
                .as_mut()
                .map(|body| body.read(&mut buffer[..count]));
            match read {
                Some(Ok(read)) if read > 0 => {
                    self.position += read as u64;
                    self.fruitless = 0;
                    return Ok(read);
                }
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Too short, or cut.
                read => {
                    self.fruitless += 1;
                    if self.fruitless > FRUITLESS {
                        return Err(self.gave_up(read.and_then(Result::err)));
                    }
                }
            }
            self.connect()?;
        }
    }

    fn gave_up(&self, error: Option<io::Error>) -> Error {
        match error {
            Some(error) => RegistryError::Transport {
                action: "GET",
                url: self.repository.url(&format!("blobs/{}", self.digest)),
                source: error.into(),
            },
            None => RegistryError::Size {
                digest: self.digest,
                expected: self.size,
                found: self.position,
            },
        }
        .into()
    }
}

impl Read for BlobDownload<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next_bytes(buffer).map_err(io::Error::other)
    }
}
