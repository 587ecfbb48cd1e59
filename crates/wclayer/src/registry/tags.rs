//! The tags of a repository, page by page.

use serde::Deserialize;

use super::Repository;
use super::session::{Reply, Request};
use crate::error::{RegistryError, Result};
use crate::hub::Progress;

/// The largest page that is read, in bytes.
const MAX_PAGE: u64 = 16 << 20;
/// The most pages.
const MAX_PAGES: usize = 10_000;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Lists the tags, as the registry sorts them.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError::NotFound`] if there is no such repository, or what can go wrong
    /// with a registry.
    pub fn tags(&self, progress: &dyn Progress) -> Result<Vec<String>> {
        let mut tags = Vec::new();
        let mut url = self.url("tags/list?n=1000");
        for _ in 0..MAX_PAGES {
            let request = Request {
                method: "GET",
                url,
                headers: Vec::new(),
                body: None,
                scope: self.pull_scope(),
            };
            let reply = self.session.send(&request, progress)?;
            match reply.status {
                200 => {}
                404 => return Err(self.not_found("tags")),
                _ => return Err(reply.refused()),
            }
            let next = next_page(&reply).map(|next| self.session.located(&next));
            let answer = RegistryError::Answer {
                url: reply.url.clone(),
                problem: "no list of tags",
            };
            let body = reply.body.into_with_config().limit(MAX_PAGE).read_to_vec();
            let page = body
                .ok()
                .and_then(|body| serde_json::from_slice::<Page>(&body).ok());
            tags.extend(page.ok_or(answer)?.tags.unwrap_or_default());
            match next {
                Some(next) if next != request.url => url = next,
                _ => break,
            }
        }
        Ok(tags)
    }
}

/// Reads `Link: <URL>; rel="next"`.
fn next_page(reply: &Reply) -> Option<String> {
    let (url, rest) = reply.header("link")?.strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| url.to_owned())
}
