//! A door before a registry: sees what is asked for, and can be closed.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The door. Ends with the test program.
pub(crate) struct Door {
    /// `host:port`.
    pub(crate) address: String,
    inner: Arc<Inner>,
}

struct Inner {
    registry: String,
    closed: AtomicBool,
    knocks: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl Door {
    /// An open door before the server at this address.
    pub(crate) fn before(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
        let address = listener.local_addr().expect("it is bound").to_string();
        let inner = Arc::new(Inner {
            registry: registry.to_owned(),
            closed: AtomicBool::new(false),
            knocks: AtomicUsize::new(0),
            requests: Mutex::default(),
        });
        let shared = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.knocks.fetch_add(1, Ordering::SeqCst);
                if !shared.closed.load(Ordering::SeqCst) {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.serve(client));
                }
            }
        });
        Self { address, inner }
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.inner.closed.store(true, Ordering::SeqCst);
    }

    /// How often somebody connected, let in or not, since this was asked last.
    pub(crate) fn knocks(&self) -> usize {
        self.inner.knocks.swap(0, Ordering::SeqCst)
    }

    /// What was asked for since this was asked last: `GET /v2/...`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.inner.requests.lock();
        std::mem::take(&mut requests.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn serve(&self, mut client: TcpStream) {
        let mut upstream = TcpStream::connect(&self.registry).expect("the registry is up");
        let mut answers = upstream.try_clone().expect("it is a socket");
        let mut back = client.try_clone().expect("it is a socket");
        thread::spawn(move || {
            let _ = std::io::copy(&mut answers, &mut back);
            let _ = back.shutdown(Shutdown::Both);
        });
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            self.note(&buffer[..length]);
            if upstream.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = upstream.shutdown(Shutdown::Both);
    }

    /// Clients send the head of a request at once.
    fn note(&self, piece: &[u8]) {
        let text = String::from_utf8_lossy(piece);
        let line = text.lines().next().unwrap_or_default();
        if let Some(request) = line.strip_suffix(" HTTP/1.1") {
            let requests = self.requests.lock();
            let mut requests = requests.unwrap_or_else(PoisonError::into_inner);
            requests.push(request.to_owned());
        }
    }
}
