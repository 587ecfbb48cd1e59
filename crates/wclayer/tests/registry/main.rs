//! Registries: what comes and goes is whole, whatever happens on the way, and secrets stay.

mod server;

use std::io::{Cursor, Read as _};
use std::time::Duration;

use server::Server;
use wclayer::registry::{Credentials, RegistryError, RegistryOptions, Repository};
use wclayer::{Digest, Error, Progress};

fn options() -> RegistryOptions {
    let mut options = RegistryOptions::default();
    options.first_delay = Duration::from_millis(1);
    // Nothing that this machine has kept is looked for.
    options.credentials = Credentials::parse("user:secret");
    options
}

fn repository(server: &Server, name: &str) -> Repository {
    let reference = format!("{}/{name}", server.host())
        .parse()
        .expect("a reference");
    Repository::open(&reference, &options()).expect("a repository")
}

/// Bytes without a pattern that a shift would keep.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * at / 7 + at / 251) as u8).collect()
}

fn pull(repository: &Repository, digest: &Digest, size: usize) -> Result<Vec<u8>, Error> {
    let mut blob = repository.blob(digest, size as u64, 0, &())?;
    let mut found = Vec::new();
    blob.read_to_end(&mut found).map_err(Error::Input)?;
    Ok(found)
}

#[test]
fn a_blob_comes_whole_through_cuts() {
    let content = bytes(100_000);
    for ignores_ranges in [false, true] {
        let server = Server::start();
        let digest = server.put_blob("a/b", &content);
        server.state().faults.cuts = vec![1, 70_000, 0, 29_998, 80_000, 0, 99_999];
        server.state().faults.ignores_ranges = ignores_ranges;
        let found = pull(&repository(&server, "a/b"), &digest, content.len()).expect("whole");
        assert_eq!(Digest::of(&found), digest, "{ignores_ranges}");
    }
}

#[test]
fn a_blob_can_be_read_from_the_middle() {
    let server = Server::start();
    let content = bytes(1000);
    let digest = server.put_blob("a/b", &content);
    let repository = repository(&server, "a/b");
    let mut found = Vec::new();
    let mut blob = repository.blob(&digest, 1000, 900, &()).expect("there");
    blob.read_to_end(&mut found).expect("readable");
    assert_eq!(found, content[900..]);
}

#[test]
fn a_registry_that_cuts_for_ever_is_given_up() {
    let server = Server::start();
    let content = bytes(1000);
    let digest = server.put_blob("a/b", &content);
    server.state().faults.cuts = vec![0; 1000];
    pull(&repository(&server, "a/b"), &digest, content.len()).expect_err("nothing came");
    assert!(server.state().log.len() < 50);
}

#[test]
fn another_length_is_refused_before_anything_is_read() {
    let server = Server::start();
    let content = bytes(1000);
    let digest = server.put_blob("a/b", &content);
    let repository = repository(&server, "a/b");
    for size in [999, 1001] {
        let error = repository
            .blob(&digest, size, 0, &())
            .err()
            .expect("another length");
        assert!(
            matches!(
                error,
                Error::Registry(RegistryError::Size { found: 1000, .. })
            ),
            "{error}"
        );
    }
    server.state().faults.lies_about_length = true;
    assert!(pull(&repository, &digest, content.len()).is_err());
}

#[test]
fn a_busy_registry_is_waited_for() {
    let server = Server::start();
    let content = bytes(10);
    let digest = server.put_blob("a/b", &content);
    server.state().faults.busy = 4;
    let repository = repository(&server, "a/b");
    assert_eq!(pull(&repository, &digest, 10).expect("in the end"), content);
    server.state().faults.busy = 1;
    server.state().faults.retry_after = Some(100_000);
    let error = pull(&repository, &digest, 10).expect_err("too long");
    assert!(
        matches!(error, Error::Registry(RegistryError::Wait { .. })),
        "{error}"
    );
    server.state().faults.busy = 1000;
    server.state().faults.retry_after = None;
    let error = pull(&repository, &digest, 10).expect_err("for ever");
    assert!(
        matches!(
            error,
            Error::Registry(RegistryError::Refused { status: 429, .. })
        ),
        "{error}"
    );
}

#[test]
fn a_document_is_what_its_digest_says() {
    let server = Server::start();
    let repository = repository(&server, "a/b");
    let text = br#"{"schemaVersion": 2}"#;
    let kind = wclayer::image::MANIFEST_TYPES[0];
    repository
        .push_document("v1", kind, text, &())
        .expect("taken");
    let found = repository.document("v1", &()).expect("there");
    assert_eq!((&found.bytes[..], &*found.media_type), (&text[..], kind));
    let by_digest = repository
        .document(&found.digest.to_string(), &())
        .expect("there");
    assert_eq!(by_digest, found);
    let key = ("a/b".to_owned(), found.digest.to_string());
    server.state().manifests.get_mut(&key).expect("there").1[0] = b' ';
    let error = repository
        .document(&found.digest.to_string(), &())
        .expect_err("spoiled");
    assert!(
        matches!(error, Error::Registry(RegistryError::Digest { .. })),
        "{error}"
    );
    let error = repository.document("v2", &()).expect_err("not there");
    assert!(
        matches!(error, Error::Registry(RegistryError::NotFound { .. })),
        "{error}"
    );
    let huge = vec![b' '; (4 << 20) + 1];
    repository
        .push_document("huge", kind, &huge, &())
        .expect("taken");
    let Err(error) = repository.document("huge", &()) else {
        panic!("4 MiB and a byte were read");
    };
    assert!(
        matches!(error, Error::Registry(RegistryError::Answer { .. })),
        "{error}"
    );
}

#[test]
fn a_blob_goes_up_in_pieces_through_failures() {
    let content = bytes((9 << 20) + 5);
    let digest = Digest::of(&content);
    let push = |server: &Server| {
        let repository = repository(server, "a/b");
        let mut blob = Cursor::new(&content);
        repository.push_blob(&digest, content.len() as u64, &mut blob, &())
    };
    let has_it = |server: &Server| {
        let key = ("a/b".to_owned(), digest.to_string());
        server.state().blobs.get(&key) == Some(&content)
    };
    let server = Server::start();
    push(&server).expect("taken");
    assert!(has_it(&server));
    let patches = |server: &Server| {
        let state = server.state();
        state
            .log
            .iter()
            .filter(|(method, ..)| method == "PATCH")
            .count()
    };
    assert_eq!(patches(&server), 3);

    let server = Server::start();
    server.state().faults.failed_pieces = 2;
    push(&server).expect("in the end");
    assert!(has_it(&server));

    let server = Server::start();
    server.state().faults.forgets_after = Some(2);
    push(&server).expect("from the start");
    assert!(has_it(&server));

    let server = Server::start();
    server.state().faults.failed_pieces = 1000;
    push(&server).expect_err("never");
    assert!(patches(&server) < 50);
}

#[test]
fn an_empty_blob_and_a_wrong_one() {
    let server = Server::start();
    let repository = repository(&server, "a/b");
    let empty = Digest::of(b"");
    repository
        .push_blob(&empty, 0, &mut Cursor::new(b""), &())
        .expect("taken");
    assert!(repository.has_blob(&empty, &()).expect("an answer"));
    assert_eq!(pull(&repository, &empty, 0).expect("there"), b"");
    let wrong = repository.push_blob(&empty, 3, &mut Cursor::new(b"abc"), &());
    let error = wrong.expect_err("not its digest").to_string();
    assert!(error.contains("DIGEST_INVALID"), "{error}");
}

#[test]
fn a_blob_of_another_repository_is_mounted() {
    let server = Server::start();
    let digest = server.put_blob("a/b", b"shared");
    let repository = repository(&server, "c/d");
    assert!(!repository.has_blob(&digest, &()).expect("an answer"));
    assert!(
        repository
            .mount_blob(&digest, "a/b", &())
            .expect("an answer")
    );
    assert!(repository.has_blob(&digest, &()).expect("an answer"));
    assert!(
        !repository
            .mount_blob(&Digest::of(b"x"), "a/b", &())
            .expect("an answer")
    );
}

#[test]
fn tags_come_in_pages() {
    let server = Server::start();
    let repository = repository(&server, "a/b");
    let tags = ["v1", "v2", "v3", "v4", "v5"];
    for tag in tags {
        repository
            .push_document(tag, "x", tag.as_bytes(), &())
            .expect("taken");
    }
    assert_eq!(repository.tags(&()).expect("a list"), tags);
}

/// `user:secret`, as basic authentication has it.
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

#[test]
fn a_password_is_sent_when_it_is_asked_for() {
    let server = Server::start();
    let digest = server.put_blob("a/b", b"x");
    server.state().password = Some(BASIC.to_owned());
    let repository = repository(&server, "a/b");
    assert_eq!(pull(&repository, &digest, 1).expect("let in"), b"x");
    let state = server.state();
    let blobs: Vec<_> = state
        .log
        .iter()
        .filter(|(_, path, _)| path.contains("/blobs/"))
        .collect();
    assert_eq!(blobs[0].2, None, "not before");
    assert_eq!(blobs[1].2.as_deref(), Some(BASIC));
}

#[test]
fn tokens_that_end_on_the_way_are_asked_for_again() {
    let server = Server::start();
    server.state().password = Some(BASIC.to_owned());
    server.state().token_uses = 2;
    let content = bytes(9 << 20);
    let digest = Digest::of(&content);
    let repository = repository(&server, "a/b");
    let mut blob = Cursor::new(&content);
    repository
        .push_blob(&digest, content.len() as u64, &mut blob, &())
        .expect("taken");
    assert_eq!(
        pull(&repository, &digest, content.len()).expect("there"),
        content
    );
    let state = server.state();
    let tokens = state
        .log
        .iter()
        .filter(|(_, path, _)| path == "/token")
        .count();
    assert!(tokens > 2, "{tokens}");
    // The password goes to the token server alone.
    let leaked = state.log.iter().any(|(_, path, key)| {
        path != "/token" && key.as_deref().is_some_and(|key| key.starts_with("Basic"))
    });
    assert!(!leaked);
}

#[test]
fn wrong_credentials_are_refused_and_not_shown() {
    for token_uses in [0, 1] {
        let server = Server::start();
        let digest = server.put_blob("a/b", b"x");
        server.state().password = Some("Basic other".to_owned());
        server.state().token_uses = token_uses;
        let error = pull(&repository(&server, "a/b"), &digest, 1).expect_err("refused");
        let shown = format!("{error} {error:?}");
        assert!(
            matches!(error, Error::Registry(RegistryError::Unauthorized { .. })),
            "{shown}"
        );
        assert!(
            !shown.contains("secret") && !shown.contains("dXNl"),
            "{shown}"
        );
    }
}

#[test]
fn credentials_do_not_follow_a_redirect() {
    let (front, back) = (Server::start(), Server::start());
    let content = bytes(5000);
    let digest = back.put_blob("a/b", &content);
    front.put_blob("a/b", &content);
    front.state().password = Some(BASIC.to_owned());
    front.state().faults.redirects_to = Some(back.host());
    back.state().faults.cuts = vec![100];
    let found = pull(&repository(&front, "a/b"), &digest, content.len()).expect("found there");
    assert_eq!(found, content);
    assert!(back.state().log.iter().all(|(_, _, key)| key.is_none()));
    // A circle comes to an end.
    back.state().faults.redirects_to = Some(back.host());
    assert!(pull(&repository(&front, "a/b"), &digest, content.len()).is_err());
}

#[test]
fn the_secret_state_of_an_upload_is_not_shown() {
    let server = Server::start();
    server.state().faults.failed_pieces = 1000;
    let repository = repository(&server, "a/b");
    let pushed = repository.push_blob(&Digest::of(b"abc"), 3, &mut Cursor::new(b"abc"), &());
    let error = pushed.expect_err("never");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_cancelled_wait_ends() {
    struct Cancelled;
    impl Progress for Cancelled {
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let server = Server::start();
    let digest = server.put_blob("a/b", b"x");
    let repository = repository(&server, "a/b");
    let error = repository
        .blob(&digest, 1, 0, &Cancelled)
        .err()
        .expect("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error}");
}
