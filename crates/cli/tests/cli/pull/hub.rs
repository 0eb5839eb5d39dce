//! A hub for tests: the few addresses that `pull` asks, on the loopback, and a second host that holds the files.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked of a host.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) range: Option<u64>,
    pub(super) token: Option<String>,
}

/// How the host of the files behaves, request by request; the last stands for all that follow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mood {
    Well,
    /// The connection ends after so many bytes of what was asked for.
    BreaksAfter(usize),
    /// `content-length` says so many bytes more, or less, than are meant.
    SaysMore(i64),
    /// A `range` is not understood.
    NoRanges,
    /// A part from another place is sent.
    OtherRange,
}

/// What the hub says of a repository.
#[derive(Clone)]
pub(super) struct Repository {
    pub(super) files: Vec<(&'static str, Vec<u8>)>,
    pub(super) card: Value,
    /// The checksum that it names, where that is not the file's.
    pub(super) lies: Option<String>,
    pub(super) moods: Vec<Mood>,
    /// Status and `x-error-code` of all answers, where it refuses.
    pub(super) refuses: Option<(u16, &'static str)>,
}

impl Repository {
    pub(super) fn of(files: Vec<(&'static str, Vec<u8>)>) -> Self {
        Self {
            files,
            card: json!({"license": "apache-2.0"}),
            lies: None,
            moods: vec![Mood::Well],
            refuses: None,
        }
    }
}

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Two hosts; they end with the test.
pub(super) struct Hub {
    pub(super) endpoint: String,
    pub(super) hub: Arc<Mutex<Vec<Asked>>>,
    pub(super) store: Arc<Mutex<Vec<Asked>>>,
}

impl Hub {
    pub(super) fn start(repository: Repository) -> Self {
        let (hub, store): (Arc<Mutex<Vec<_>>>, Arc<Mutex<Vec<_>>>) = Default::default();
        let (files, log) = (repository.clone(), store.clone());
        let elsewhere = listen(move |asked, stream| {
            let before =
                { log.lock().expect("the log").iter().filter(|one: &&Asked| one.path == asked.path).count() };
            log.lock().expect("the log").push(asked.clone());
            give(&files, &asked, before, stream);
        });
        let log = hub.clone();
        let own = listen(move |asked, stream| {
            log.lock().expect("the log").push(asked.clone());
            answer(&repository, &asked, elsewhere, stream);
        });
        Self { endpoint: format!("http://{own}"), hub, store }
    }

    pub(super) fn asked_of_store(&self) -> Vec<Asked> {
        self.store.lock().expect("the log").clone()
    }
}

fn listen(answer: impl Fn(Asked, &mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                if let Some(asked) = read(&stream) {
                    answer(asked, &mut stream);
                }
            });
        }
    });
    address
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let mut asked =
        Asked { method: words.next()?.to_owned(), path: words.next()?.to_owned(), range: None, token: None };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_lowercase().as_str() {
            "range" => asked.range = value.trim().strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok(),
            "authorization" => asked.token = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Some(asked)
}

fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
    drop(
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush()),
    );
}

/// The hub's own addresses.
fn answer(repository: &Repository, asked: &Asked, elsewhere: SocketAddr, stream: &mut TcpStream) {
    if let Some((status, code)) = repository.refuses {
        return send(
            stream,
            &format!("{status} No\r\nx-error-code: {code}\r\nretry-after: 77\r\ncontent-length: 0"),
            b"",
        );
    }
    if asked.path.starts_with("/api/models/old/") {
        let to = asked.path.replace("/old/", "/new/");
        return send(stream, &format!("307 Moved\r\nlocation: {to}\r\ncontent-length: 0"), b"");
    }
    if asked.path.starts_with("/api/models/") {
        let siblings: Vec<Value> =
            repository.files.iter().map(|(name, _)| json!({"rfilename": name})).collect();
        let about = json!({"sha": COMMIT, "siblings": siblings, "cardData": repository.card}).to_string();
        return send(stream, &format!("200 OK\r\ncontent-length: {}", about.len()), about.as_bytes());
    }
    let Some((_, name)) = asked.path.split_once(&format!("/resolve/{COMMIT}/")) else {
        return send(stream, "404 Not Found\r\nx-error-code: RevisionNotFound\r\ncontent-length: 0", b"");
    };
    let Some((_, bytes)) = repository.files.iter().find(|(own, _)| *own == name) else {
        return send(stream, "404 Not Found\r\nx-error-code: EntryNotFound\r\ncontent-length: 0", b"");
    };
    if name.ends_with(".json") {
        // small files are the hub's own, by Git's checksum; none is named here but their length
        let body: &[u8] = if asked.method == "HEAD" { b"" } else { bytes };
        return send(stream, &format!("200 OK\r\ncontent-length: {}", bytes.len()), body);
    }
    let sum = repository.lies.clone().unwrap_or_else(|| hex(bytes));
    send(
        stream,
        &format!(
            "302 Found\r\nlocation: http://{elsewhere}/{name}?signature=s\r\nx-linked-etag: \"{sum}\"\r\nx-linked-size: {}\r\ncontent-length: 0",
            bytes.len()
        ),
        b"",
    );
}

/// The other host: a file, or what is left of it.
fn give(repository: &Repository, asked: &Asked, before: usize, stream: &mut TcpStream) {
    let name = asked.path[1..].split('?').next().expect("a name");
    let bytes = &repository.files.iter().find(|(own, _)| *own == name).expect("a file").1;
    let mood = *repository.moods.get(before).or(repository.moods.last()).expect("a mood");
    let from = match mood {
        Mood::NoRanges => 0,
        _ => asked.range.unwrap_or(0) as usize,
    };
    let says_from = if matches!(mood, Mood::OtherRange) { from + 1 } else { from };
    let body = &bytes[from..];
    let status = match (asked.range, mood) {
        (None, _) | (_, Mood::NoRanges) => "200 OK".to_owned(),
        _ => format!("206 Partial\r\ncontent-range: bytes {says_from}-{}/{}", bytes.len() - 1, bytes.len()),
    };
    let (says, sent) = match mood {
        Mood::BreaksAfter(count) => (body.len() as i64, &body[..count.min(body.len())]),
        Mood::SaysMore(more) => (body.len() as i64 + more, body),
        _ => (body.len() as i64, body),
    };
    send(stream, &format!("{status}\r\ncontent-length: {says}"), sent);
}

pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
