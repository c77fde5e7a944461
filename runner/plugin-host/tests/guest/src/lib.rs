//! A plugin with every hook. What it does is in its configuration: `do`, and what that takes.

wit_bindgen::generate!({ path: "../../../../wit", world: "every-hook" });

mod diff;
mod output;
mod policy;
mod workspace;

use capstan::plugin::types::{Error, Refusal};
use capstan::plugin::{config, log, scratch};

struct Plugin;

export!(Plugin);

/// A value of the configuration.
fn setting(key: &str) -> String {
    config::get(key).unwrap_or_default()
}

fn error(code: &str, message: &str) -> Error {
    Error {
        code: code.to_owned(),
        message: message.to_owned(),
        retryable: true,
    }
}

fn refusal(rule: &str, reason: String) -> Refusal {
    Refusal {
        rule: rule.to_owned(),
        reason,
        details: vec![("by".to_owned(), "the guest".to_owned())],
    }
}

/// What every hook can do; what it is to do, if it is something else.
fn task() -> Result<String, Error> {
    let task = setting("do");
    match task.as_str() {
        "error" => return Err(error("input", "no good")),
        "long-error" => return Err(error("input", &"x".repeat(300 * 1024))),
        "trap" => panic!("ouch"),
        "loop" => loop {
            std::hint::black_box(());
        },
        "exit" => std::process::exit(3),
        "memory" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 1024 * 1024]);
            }
        }
        "look-around" => return Err(error("seen", &look_around())),
        "log" => {
            log::write(log::Level::Trace, "a trace");
            log::write(log::Level::Debug, "two\nlines");
            log::write(log::Level::Info, "an info");
            log::write(log::Level::Warn, "a warning");
            log::write(log::Level::Error, "an error");
            println!("printed");
            eprintln!("printed as an error");
        }
        "log-flood" => {
            for _ in 0..1000 {
                log::write(log::Level::Info, &"x".repeat(1023));
            }
        }
        "config" => {
            let get = ["text", "number", "list", "absent"].map(config::get);
            return Err(error("seen", &format!("{} {get:?}", config::json())));
        }
        "count" => {
            let count = scratch::get("count").map_or(0, |bytes| bytes[0]) + 1;
            scratch::set("count", &[count]).unwrap();
            return Err(error("seen", &count.to_string()));
        }
        "scratch" => return Err(error("seen", &fill_scratch())),
        _ => {}
    }
    Ok(task)
}

/// What there is of the world outside.
fn look_around() -> String {
    let environment: Vec<_> = std::env::vars().collect();
    let root = std::fs::read_dir("/").map(|entries| entries.count());
    let passwd = std::fs::read("/etc/passwd").is_ok();
    let work = std::fs::read_dir("/work").is_ok();
    let network = std::net::TcpStream::connect("127.0.0.1:1").map_err(|error| error.kind());
    format!(
        "environment {environment:?} root {} passwd {passwd} work {work} network {}",
        root.is_ok(),
        network.is_ok_and(|_| true)
    )
}

fn fill_scratch() -> String {
    let mut seen = Vec::new();
    seen.push(format!(
        "{:?}",
        scratch::set("", b"x").map_err(|error| error.name())
    ));
    seen.push(format!(
        "{:?}",
        scratch::set(&"k".repeat(257), b"x").map_err(|error| error.name())
    ));
    seen.push(format!(
        "{:?}",
        scratch::set(&"k".repeat(256), b"x").map_err(|error| error.name())
    ));
    seen.push(format!(
        "{:?}",
        scratch::set("large", &vec![0; 1024 * 1024]).map_err(|error| error.name())
    ));
    seen.push(format!(
        "{:?}",
        scratch::set("b", &vec![0; 600 * 1024]).map_err(|error| error.name())
    ));
    seen.push(format!(
        "{:?}",
        scratch::set("a", &vec![0; 600 * 1024]).map_err(|error| error.name())
    ));
    seen.push(format!(
        "{:?}",
        scratch::set("b", b"small").map_err(|error| error.name())
    ));
    seen.push(format!(
        "{:?}",
        scratch::set("a", &vec![0; 600 * 1024]).map_err(|error| error.name())
    ));
    scratch::delete(&"k".repeat(256));
    scratch::delete("never there");
    seen.push(format!("{:?}", scratch::keys()));
    seen.push(format!("{:?}", scratch::get("b")));
    seen.push(format!("{:?}", scratch::get("never there")));
    seen.join("\n")
}
