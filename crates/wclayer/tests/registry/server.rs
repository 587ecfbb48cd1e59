//! A registry on the loopback interface, in memory, that fails as real ones do.
//!
//! Written from the distribution-spec alone, with blobs of one repository for each name, uploads
//! in pieces, mounts, tokens and pages. Every connection serves one request.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use wclayer::Digest;

/// How the registry fails.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// Cuts the body of each blob after so many bytes, as long as there are numbers.
    pub(crate) cuts: Vec<usize>,
    /// Answers a range with everything.
    pub(crate) ignores_ranges: bool,
    /// Answers so many requests with 429, and the header.
    pub(crate) busy: usize,
    pub(crate) retry_after: Option<u64>,
    /// Fails so many pieces of uploads: half of the piece is kept.
    pub(crate) failed_pieces: usize,
    /// Forgets an upload after so many pieces, once.
    pub(crate) forgets_after: Option<usize>,
    /// Announces one byte more than there is.
    pub(crate) lies_about_length: bool,
    /// Sends other bytes than those of the blob.
    pub(crate) spoils: bool,
    /// Redirects blobs to this server.
    pub(crate) redirects_to: Option<String>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) blobs: HashMap<(String, String), Vec<u8>>,
    pub(crate) manifests: HashMap<(String, String), (String, Vec<u8>)>,
    uploads: HashMap<String, (Vec<u8>, usize)>,
    pub(crate) faults: Faults,
    /// What a request must carry; `None` lets everybody in.
    pub(crate) password: Option<String>,
    /// How many requests a token is good for; 0 for basic authentication.
    pub(crate) token_uses: usize,
    tokens: HashMap<String, usize>,
    /// What was asked: method, path and query, `Authorization`.
    pub(crate) log: Vec<(String, String, Option<String>)>,
    next: usize,
}

/// A running registry; it stops when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Asked {
    method: String,
    path: String,
    query: HashMap<String, String>,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// How much of the body is sent.
    cut: Option<usize>,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut: None,
        }
    }

    fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State::default()));
        let stops = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&state), Arc::clone(&stops));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                if let Ok(connection) = connection {
                    std::thread::spawn(move || serve(connection, address, &shared));
                }
            }
        });
        Self {
            address,
            state,
            stops,
            thread: Some(thread),
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }

    pub(crate) fn put_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let key = (name.to_owned(), digest.to_string());
        self.state().blobs.insert(key, bytes.to_vec());
        digest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        // Wakes the one that waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(connection: TcpStream, address: SocketAddr, state: &Mutex<State>) {
    let Some(asked) = read(&connection) else {
        return;
    };
    let answer = {
        let mut state = state.lock().expect("nobody panicked");
        let line = (
            asked.method.clone(),
            asked.path.clone(),
            asked.headers.get("authorization").cloned(),
        );
        state.log.push(line);
        state.answer(&asked, address)
    };
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", answer.status);
    if !answer
        .headers
        .iter()
        .any(|(name, _)| name == "content-length")
    {
        head += &format!("content-length: {}\r\n", answer.body.len());
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let body = match asked.method.as_str() {
        "HEAD" => &[],
        _ => &answer.body[..answer.cut.unwrap_or(usize::MAX).min(answer.body.len())],
    };
    let mut connection = &connection;
    // The client may have gone.
    let _ = connection
        .write_all((head + "\r\n").as_bytes())
        .and_then(|()| connection.write_all(body));
}

fn read(connection: &TcpStream) -> Option<Asked> {
    let mut input = BufReader::new(connection);
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let len = headers
        .get("content-length")
        .and_then(|len| len.parse().ok());
    let mut body = vec![0; len.unwrap_or(0)];
    input.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let plain = |text: &str| {
        text.replace("%3A", ":")
            .replace("%2F", "/")
            .replace("%2C", ",")
    };
    Some(Asked {
        method,
        path: path.to_owned(),
        query: pairs
            .map(|(name, value)| (name.to_owned(), plain(value)))
            .collect(),
        headers,
        body,
    })
}

impl State {
    fn answer(&mut self, asked: &Asked, address: SocketAddr) -> Answer {
        if asked.path == "/token" {
            return self.give_token(asked);
        }
        if self.faults.busy > 0 && asked.path != "/v2/" {
            self.faults.busy -= 1;
            let answer = Answer::new(429);
            return match self.faults.retry_after {
                Some(seconds) => answer.header("retry-after", seconds),
                None => answer,
            };
        }
        if !self.lets_in(asked) {
            let realm = match self.token_uses {
                0 => "Basic realm=\"x\"".to_owned(),
                _ => format!("Bearer realm=\"http://{address}/token\",service=\"s\""),
            };
            return Answer::new(401).header("www-authenticate", realm);
        }
        let path = asked
            .path
            .strip_prefix("/v2/")
            .unwrap_or_default()
            .to_owned();
        if path.is_empty() {
            return Answer::new(200);
        }
        let parts = ["/manifests/", "/blobs/uploads/", "/blobs/", "/tags/list"];
        for part in parts {
            if let Some((name, rest)) = path.split_once(part) {
                return match part {
                    "/manifests/" => self.manifest(asked, name, rest),
                    "/blobs/uploads/" => self.upload(asked, name, rest),
                    "/blobs/" => self.blob(asked, name, rest),
                    _ => self.tags(asked, name),
                };
            }
        }
        Answer::new(404)
    }

    fn lets_in(&mut self, asked: &Asked) -> bool {
        let Some(password) = &self.password else {
            return true;
        };
        let Some(sent) = asked.headers.get("authorization") else {
            return false;
        };
        if self.token_uses == 0 {
            return sent == password;
        }
        let token = sent.strip_prefix("Bearer ").unwrap_or_default();
        match self.tokens.get_mut(token) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn give_token(&mut self, asked: &Asked) -> Answer {
        if asked.headers.get("authorization") != self.password.as_ref() {
            return Answer::new(401);
        }
        self.next += 1;
        let token = format!("token-{}", self.next);
        self.tokens.insert(token.clone(), self.token_uses);
        Answer::new(200).body(format!("{{\"token\": \"{token}\", \"expires_in\": 300}}"))
    }

    fn manifest(&mut self, asked: &Asked, name: &str, reference: &str) -> Answer {
        let key = (name.to_owned(), reference.to_owned());
        if asked.method == "PUT" {
            let kind = asked
                .headers
                .get("content-type")
                .cloned()
                .unwrap_or_default();
            let by_digest = (name.to_owned(), Digest::of(&asked.body).to_string());
            self.manifests
                .insert(by_digest, (kind.clone(), asked.body.clone()));
            self.manifests.insert(key, (kind, asked.body.clone()));
            return Answer::new(201);
        }
        match self.manifests.get(&key) {
            Some((kind, body)) => Answer::new(200)
                .header("content-type", kind)
                .body(&body[..]),
            None => Answer::new(404).body("{\"errors\": [{\"code\": \"MANIFEST_UNKNOWN\"}]}"),
        }
    }

    fn blob(&mut self, asked: &Asked, name: &str, digest: &str) -> Answer {
        if let Some(other) = &self.faults.redirects_to {
            let place = format!("http://{other}/v2/{name}/blobs/{digest}");
            return Answer::new(307).header("location", place);
        }
        let key = (name.to_owned(), digest.to_owned());
        let Some(blob) = self.blobs.get(&key) else {
            return Answer::new(404);
        };
        let mut blob = blob.clone();
        if self.faults.spoils {
            blob[0] ^= 1;
        }
        let range = asked
            .headers
            .get("range")
            .filter(|_| !self.faults.ignores_ranges);
        let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let mut answer = match range {
            Some((from, to)) => {
                let (from, to): (usize, usize) = (
                    from.parse().expect("a number"),
                    to.parse().expect("a closed range"),
                );
                let shown = format!("bytes {from}-{to}/{}", blob.len());
                Answer::new(206)
                    .header("content-range", shown)
                    .body(&blob[from..=to])
            }
            None => Answer::new(200).body(blob),
        };
        if self.faults.lies_about_length {
            answer = answer.clone_with_length();
        }
        if asked.method == "GET" && !self.faults.cuts.is_empty() {
            answer.cut = Some(self.faults.cuts.remove(0));
        }
        answer
    }

    fn upload(&mut self, asked: &Asked, name: &str, id: &str) -> Answer {
        let place = |id: &str| format!("/v2/{name}/blobs/uploads/{id}?state=secret");
        if asked.method == "POST" {
            let mount = asked.query.get("mount").zip(asked.query.get("from"));
            if let Some((digest, from)) = mount
                && let Some(blob) = self.blobs.get(&(from.clone(), digest.clone())).cloned()
            {
                self.blobs.insert((name.to_owned(), digest.clone()), blob);
                return Answer::new(201);
            }
            self.next += 1;
            let id = self.next.to_string();
            self.uploads.insert(id.clone(), (Vec::new(), 0));
            return Answer::new(202).header("location", place(&id));
        }
        let Some((bytes, pieces)) = self.uploads.get_mut(id) else {
            return Answer::new(404);
        };
        let end = |bytes: &[u8]| bytes.len().saturating_sub(1);
        match asked.method.as_str() {
            "GET" => {
                let range = format!("0-{}", end(bytes));
                Answer::new(204)
                    .header("range", range)
                    .header("location", place(id))
            }
            "PATCH" => {
                let range = asked
                    .headers
                    .get("content-range")
                    .cloned()
                    .unwrap_or_default();
                if range.split('-').next() != Some(&bytes.len().to_string()) {
                    return Answer::new(416);
                }
                if self.faults.failed_pieces > 0 {
                    self.faults.failed_pieces -= 1;
                    bytes.extend(&asked.body[..asked.body.len() / 2]);
                    return Answer::new(500);
                }
                bytes.extend(&asked.body);
                *pieces += 1;
                if self.faults.forgets_after == Some(*pieces) {
                    self.faults.forgets_after = None;
                    self.uploads.remove(id);
                }
                Answer::new(202).header("location", place(id))
            }
            _ => {
                let bytes = self
                    .uploads
                    .remove(id)
                    .map(|(bytes, _)| bytes)
                    .unwrap_or_default();
                let digest = asked.query.get("digest").cloned().unwrap_or_default();
                if Digest::of(&bytes).to_string() != digest {
                    return Answer::new(400).body("{\"errors\": [{\"code\": \"DIGEST_INVALID\"}]}");
                }
                self.blobs.insert((name.to_owned(), digest), bytes);
                Answer::new(201)
            }
        }
    }

    /// Two tags a page.
    fn tags(&self, asked: &Asked, name: &str) -> Answer {
        let mut tags: Vec<&String> = self
            .manifests
            .keys()
            .filter(|(own, tag)| own == name && !tag.contains(':'))
            .map(|(_, tag)| tag)
            .collect();
        tags.sort();
        let last = asked.query.get("last");
        let mut rest = tags
            .into_iter()
            .filter(|tag| last.is_none_or(|last| *tag > last));
        let page: Vec<&String> = rest.by_ref().take(2).collect();
        let body = serde_json::json!({ "name": name, "tags": page }).to_string();
        let answer = Answer::new(200).body(body);
        match (rest.next(), page.last()) {
            (Some(_), Some(last)) => {
                let next = format!("</v2/{name}/tags/list?last={last}>; rel=\"next\"");
                answer.header("link", next)
            }
            _ => answer,
        }
    }
}

impl Answer {
    fn clone_with_length(self) -> Self {
        let len = self.body.len() + 1;
        self.header("content-length", len)
    }
}
