//! What tests of steps in WebAssembly do inside of one. An ordinary program that knows nothing of Capstan.

use std::io::{Read as _, Write as _};
use std::{env, fs, io, process};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[1..] {
        [] => println!("nothing to do"),
        // Arguments, environment and standard input, as they came.
        ["show", ..] => {
            let mut input = String::new();
            io::stdin().read_to_string(&mut input)?;
            let mut environment: Vec<_> = env::vars().collect();
            environment.sort();
            println!("{words:?}\n{environment:?}\n{input:?}");
        }
        ["replace", from, to, files @ ..] => {
            for file in files {
                let text = fs::read_to_string(file)?;
                fs::write(file, text.replace(from, to))?;
            }
        }
        ["cat", files @ ..] => {
            for file in files {
                match fs::read_to_string(file) {
                    Ok(text) => print!("{text}"),
                    Err(error) => println!("{file}: {}", error.kind()),
                }
            }
        }
        // Each word by itself, as slow programs print.
        ["say", words @ ..] => {
            for word in words {
                print!("{word}");
                io::stdout().flush()?;
            }
        }
        ["list", directories @ ..] => {
            for directory in directories {
                let mut names = Vec::new();
                for entry in fs::read_dir(directory)? {
                    names.push(entry?.file_name().into_string().unwrap_or_default());
                }
                names.sort();
                println!("{directory}: {}", names.join(" "));
            }
        }
        ["write", file, text] => match fs::write(file, format!("{text}\n")) {
            Ok(()) => println!("{file}: written"),
            Err(error) => println!("{file}: {}", error.kind()),
        },
        ["append", file, text] => {
            let file = fs::OpenOptions::new().append(true).open(file);
            writeln!(file?, "{text}")?;
        }
        ["flood", bytes] => {
            let line = b"0123456789abcde\n".repeat(4096);
            let mut left: usize = bytes.parse().map_err(io::Error::other)?;
            while left > 0 {
                let count = left.min(line.len());
                io::stdout().write_all(&line[..count])?;
                left -= count;
            }
        }
        ["exit", code] => process::exit(code.parse().map_err(io::Error::other)?),
        ["fail", message] => return Err(io::Error::other(message.to_string())),
        ["panic", message] => panic!("{message}"),
        ["loop"] => {
            println!("in the loop");
            loop {
                std::hint::black_box(0);
            }
        }
        ["hog"] => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
            }
        }
        ["connect", address] => match std::net::TcpStream::connect(address) {
            Ok(_) => println!("connected"),
            Err(error) => println!("{}", error.kind()),
        },
        ["version"] => println!("{}", if cfg!(second) { "two" } else { "one" }),
        _ => return Err(io::Error::other(format!("what is {words:?}?"))),
    }
    Ok(())
}
