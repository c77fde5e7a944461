//! The network between an executor and a server: it can be cut, be a proxy, and speak TLS.

use std::io::{BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::world::World;

/// How a wire carries what comes in.
#[derive(Clone)]
enum Kind {
    /// As it is.
    Plain,
    /// As an HTTP proxy whose only way leads to one server, whatever host it is asked for.
    Proxy,
    /// With TLS at this end.
    Tls(TlsAcceptor),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing gets through; what is under way waits.
    Held,
    /// Connections break, and no new one can be made.
    Broken,
}

/// A way to a server of this machine, at an address of its own. Gone when dropped.
pub struct Wire {
    address: SocketAddr,
    certificate: Option<PathBuf>,
    state: watch::Sender<State>,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Wire {
    /// To the server at this URL.
    pub fn to(url: &str) -> Self {
        Self::new(url, Kind::Plain, None)
    }

    /// An HTTP proxy that passes everything on to the server at this URL.
    pub fn proxy(url: &str) -> Self {
        Self::new(url, Kind::Proxy, None)
    }

    /// The server at this URL behind TLS for `host`, whose certificate is of an authority that only this world knows.
    pub fn tls(url: &str, world: &World, host: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = || KeyPair::generate().expect("a key can be made");
        let authority = CertifiedIssuer::self_signed(params, key()).expect("it can be signed");
        let own_key = key();
        let own = CertificateParams::new(vec![host.to_owned()])
            .and_then(|params| params.signed_by(&own_key, &authority))
            .expect("it can be signed");
        let private = PrivateKeyDer::try_from(own_key.serialize_der()).expect("it is a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], private)
            .expect("key and certificate belong together");
        let file = world.write("authority.pem", authority.pem());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::new(url, Kind::Tls(acceptor), Some(file))
    }

    fn new(url: &str, kind: Kind, certificate: Option<PathBuf>) -> Self {
        let to: SocketAddr = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split('/').next()?.parse().ok())
            .expect("the URL is of a server of this machine");
        let (state, watched) = watch::channel(State::Open);
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await;
                let listener = listener.expect("there is a free port");
                let address = listener.local_addr().expect("it is bound");
                tell.send(address).expect("somebody waits for it");
                let accept = async {
                    loop {
                        let (stream, _) = listener.accept().await.expect("the network works");
                        let (kind, watched) = (kind.clone(), watched.clone());
                        let seen = Arc::clone(&seen);
                        tokio::spawn(async move {
                            // A connection that breaks is what tests are about.
                            let _ = serve(stream, to, kind, watched, &seen).await;
                        });
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: told.recv().expect("it starts"),
            certificate,
            state,
            asked,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `host:port` of this end.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// URL of this end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The file with the certificate of the authority. Panics unless there is TLS.
    pub fn authority(&self) -> &std::path::Path {
        self.certificate.as_deref().expect("it speaks TLS")
    }

    /// From now on nothing gets through; what is under way waits.
    pub fn hold(&self) {
        self.state.send_replace(State::Held);
    }

    /// Breaks all connections; no new one can be made.
    pub fn cut(&self) {
        self.state.send_replace(State::Broken);
    }

    /// Everything gets through again.
    pub fn mend(&self) {
        self.state.send_replace(State::Open);
    }

    /// The first line of what was asked on each connection to a proxy.
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    to: SocketAddr,
    kind: Kind,
    watched: watch::Receiver<State>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    wait_until_open(watched.clone()).await?;
    let mut upstream = TcpStream::connect(to).await?;
    match kind {
        Kind::Plain => carry(stream, upstream, watched).await,
        Kind::Tls(acceptor) => carry(acceptor.accept(stream).await?, upstream, watched).await,
        Kind::Proxy => {
            let head = head(&mut stream).await?;
            let line = String::from_utf8_lossy(&head);
            let line = line.lines().next().unwrap_or_default().to_owned();
            let is_tunnel = line.starts_with("CONNECT ");
            asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
            match is_tunnel {
                true => stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?,
                // Servers take whole URLs, too.
                false => upstream.write_all(&head).await?,
            }
            carry(stream, upstream, watched).await
        }
    }
}

/// What comes up to the end of the first request's headers, or a little more.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// Waits while nothing gets through; an error once connections break.
async fn wait_until_open(mut watched: watch::Receiver<State>) -> std::io::Result<()> {
    let state = watched.wait_for(|state| *state != State::Held).await;
    match state.map(|state| *state) {
        Ok(State::Open) => Ok(()),
        _ => Err(std::io::ErrorKind::ConnectionReset.into()),
    }
}

async fn carry(
    near: impl AsyncRead + AsyncWrite,
    far: TcpStream,
    mut watched: watch::Receiver<State>,
) -> std::io::Result<()> {
    let (from_near, to_near) = tokio::io::split(near);
    let (from_far, to_far) = far.into_split();
    let there = one_way(from_near, to_far, watched.clone());
    let back = one_way(from_far, to_near, watched.clone());
    let both = async { tokio::try_join!(there, back).map(drop) };
    tokio::select! {
        ended = both => ended,
        _ = watched.wait_for(|state| *state == State::Broken) => {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    watched: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        wait_until_open(watched.clone()).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
}

/// A server that takes connections and never says a word.
pub struct Mute {
    listener: Arc<std::net::TcpListener>,
    taken: Arc<Mutex<Vec<std::net::TcpStream>>>,
}

impl Default for Mute {
    fn default() -> Self {
        Self::start()
    }
}

impl Mute {
    /// Starts one. What it has taken is closed when it is dropped.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let listener = Arc::new(listener);
        let taken = Arc::<Mutex<Vec<std::net::TcpStream>>>::default();
        let (accepting, kept) = (Arc::clone(&listener), Arc::downgrade(&taken));
        thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                let Some(taken) = kept.upgrade() else { return };
                taken
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(stream);
            }
        });
        Self { listener, taken }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        let address = self.listener.local_addr().expect("it is bound");
        address.to_string()
    }

    /// Connections that it has taken.
    pub fn taken(&self) -> usize {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// A page for whoever asks, as exporters of figures have one: the answer is always the same.
pub struct Page {
    address: SocketAddr,
}

impl Page {
    /// Serves `text` until the process ends.
    pub fn serve(text: &'static str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut reader = BufReader::new(&stream);
                let mut line = String::new();
                while std::io::BufRead::read_line(&mut reader, &mut line).is_ok_and(|read| read > 2)
                {
                    line.clear();
                }
                // Who asked may have gone.
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });
        Self { address }
    }

    /// Its URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
