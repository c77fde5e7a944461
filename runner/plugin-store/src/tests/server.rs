//! An HTTP server on this machine that answers what a test wants.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    /// `GET /path?query`.
    pub(super) line: String,
    head: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// What is answered.
pub(super) struct Answer {
    head: String,
    body: Vec<u8>,
    /// The body again and again, for as long as somebody reads it.
    endless: bool,
}

impl Answer {
    pub(super) fn new(status: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let mut answer = Self::bare(status, headers, body);
        let length = answer.body.len();
        answer.head += &format!("Content-Length: {length}\r\n");
        answer
    }

    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new("200 OK", &[], body)
    }

    /// Says that there is more than there is.
    pub(super) fn cut_short(body: &str, length: u64) -> Self {
        let length = length.to_string();
        Self::bare("200 OK", &[("Content-Length", &length)], body.into())
    }

    pub(super) fn endless() -> Self {
        let mut answer = Self::bare("200 OK", &[], vec![b'x'; 1 << 16]);
        answer.endless = true;
        answer
    }

    fn bare(status: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Self {
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        Self {
            head,
            body,
            endless: false,
        }
    }
}

/// The server; it ends with the test's runtime.
pub(super) struct Server {
    /// `127.0.0.1:port`.
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(super) async fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, answer).await
    }

    pub(super) async fn tls(
        acceptor: TlsAcceptor,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(acceptor), answer).await
    }

    async fn start(
        acceptor: Option<TlsAcceptor>,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (sink, answer) = (Arc::clone(&seen), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (sink, answer) = (Arc::clone(&sink), Arc::clone(&answer));
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) => {
                            if let Ok(connection) = acceptor.accept(connection).await {
                                serve(connection, &*answer, &sink).await;
                            }
                        }
                        None => serve(connection, &*answer, &sink).await,
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// All requests until now.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Their first lines.
    pub(super) fn lines(&self) -> Vec<String> {
        self.seen()
            .into_iter()
            .map(|request| request.line)
            .collect()
    }
}

async fn serve(
    mut connection: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(dyn Fn(&Request) -> Answer + Send + Sync),
    seen: &Mutex<Vec<Request>>,
) {
    let mut bytes = Vec::new();
    let end = loop {
        match connection.read_buf(&mut bytes).await {
            Ok(1..) => {}
            _ => return,
        }
        // A client that tries TLS first.
        if bytes[0] == 0x16 {
            return;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let line = head.lines().next().unwrap_or_default();
    let mut request = Request {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        head,
        body: String::new(),
    };
    let length: usize = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        if !matches!(connection.read_buf(&mut bytes).await, Ok(1..)) {
            return;
        }
    }
    request.body = String::from_utf8_lossy(&bytes[end..]).into_owned();
    seen.lock().unwrap().push(request.clone());
    let answer = answer(&request);
    let head = format!("{}\r\n", answer.head);
    if connection.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    while connection.write_all(&answer.body).await.is_ok() && answer.endless {}
    let _ = connection.shutdown().await;
}
