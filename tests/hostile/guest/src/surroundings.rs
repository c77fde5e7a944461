//! What is around a plugin: environment, arguments, network, clocks, standard streams.

use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

/// The result of the attack, or nothing if it is not one of these.
pub(crate) fn attempt(attack: &str, address: &str) -> Option<io::Result<String>> {
    Some(match attack {
        "environment" => nothing(std::env::vars().count()),
        "arguments" => nothing(std::env::args().count()),
        "standard-input" => input(),
        "connect" => TcpStream::connect(address).map(|_| "connected".to_owned()),
        "listen" => TcpListener::bind("127.0.0.1:0").map(|_| "listening".to_owned()),
        "send" => UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.send_to(b"hello", address))
            .map(|_| "sent".to_owned()),
        "resolve" => "localhost:80"
            .to_socket_addrs()
            .map(|_| "resolved".to_owned()),
        "sleep" => {
            std::thread::sleep(Duration::from_secs(60 * 60));
            Ok("slept".to_owned())
        }
        "exit" => std::process::exit(0),
        "exit-failing" => std::process::exit(3),
        "abort" => std::process::abort(),
        "print" => print(&mut io::stdout()),
        "complain" => print(&mut io::stderr()),
        "thread" => std::thread::Builder::new()
            .spawn(|| ())
            .map(|_| "started".to_owned()),
        _ => return None,
    })
}

fn nothing(count: usize) -> io::Result<String> {
    if count == 0 {
        Err(io::Error::from(io::ErrorKind::NotFound))
    } else {
        Ok(format!("{count} of them"))
    }
}

fn input() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    nothing(text.len())
}

fn print(to: &mut impl io::Write) -> io::Result<String> {
    let line = [b'x'; 1023];
    for _ in 0..1024 {
        to.write_all(&line)?;
        to.write_all(b"\n")?;
    }
    to.flush()?;
    Ok("a mebibyte".to_owned())
}
