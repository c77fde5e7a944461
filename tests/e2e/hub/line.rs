//! The line between an executor and a hub, which a test can cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// They reach the hub.
    Whole,
    /// Nothing gets through.
    Cut,
    /// Somebody on the way answers with this status.
    Answers(u16),
}

/// A line to a hub.
pub(super) struct Line {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    /// Both ends of each connection.
    open: Vec<[TcpStream; 2]>,
}

impl Line {
    /// To the hub at this address.
    pub(super) fn to(hub: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            mode: Mode::Whole,
            open: Vec::new(),
        }));
        let (hub, shared) = (hub.to_owned(), Arc::clone(&state));
        // It ends with the process.
        thread::spawn(move || {
            for near in listener.incoming() {
                connect(near.unwrap(), &hub, &shared);
            }
        });
        Self { address, state }
    }

    /// From now on. Connections that are there end.
    pub(super) fn is(&self, mode: Mode) {
        let mut state = self.state.lock().unwrap();
        state.mode = mode;
        for end in state.open.drain(..).flatten() {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn connect(mut near: TcpStream, hub: &str, state: &Mutex<State>) {
    let mut state = state.lock().unwrap();
    match state.mode {
        Mode::Cut => {}
        Mode::Answers(status) => {
            thread::spawn(move || {
                // The head is enough: nobody sends more before there is an answer.
                let _ = near.read(&mut [0; 65536]);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = near.write_all(answer.as_bytes());
            });
        }
        Mode::Whole => {
            let Ok(far) = TcpStream::connect(hub) else {
                return;
            };
            let twice = |stream: &TcpStream| stream.try_clone().unwrap();
            state.open.push([twice(&near), twice(&far)]);
            pass(twice(&near), twice(&far));
            pass(far, near);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // One of them has been cut.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
