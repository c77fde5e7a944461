use std::cell::RefCell;

use crate::capstan::plugin::step::Step;
use crate::capstan::plugin::types::Error;
use crate::exports::capstan::plugin::output::{Channel, Chunks, Guest, GuestFilter};
use crate::{Plugin, setting, task};

impl Guest for Plugin {
    type Filter = Filter;

    fn chunking(step: &Step, channel: Channel) -> Chunks {
        match (setting("chunks").as_str(), channel) {
            ("lines", _) => Chunks::Lines,
            ("none", _) | ("stdout-only", Channel::Stderr) => Chunks::None,
            ("trap", _) => panic!("ouch at {}", step.number()),
            _ => Chunks::Any,
        }
    }

    fn derive_outputs(
        step: &Step,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    ) -> Result<Vec<(String, String)>, Error> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ok(match task()?.as_str() {
            "derive" => vec![
                ("stdout".to_owned(), text(stdout)),
                ("stderr".to_owned(), text(stderr)),
                ("step".to_owned(), step.number().to_string()),
            ],
            "nameless" => vec![(String::new(), "1".to_owned())],
            _ => Vec::new(),
        })
    }
}

pub struct Filter {
    task: String,
    channel: Channel,
    held: RefCell<Vec<u8>>,
}

impl GuestFilter for Filter {
    fn new(step: &Step, channel: Channel) -> Self {
        assert_ne!(step.number(), 99, "ouch");
        let task = crate::setting("do");
        Self {
            task,
            channel,
            held: RefCell::default(),
        }
    }

    fn push(&self, chunk: Vec<u8>) -> Result<Vec<u8>, Error> {
        Ok(match self.task.as_str() {
            "mark" => [b"[", chunk.as_slice(), b"]"].concat(),
            "channel" => format!("{:?}", self.channel).into_bytes(),
            "hold" => {
                self.held.borrow_mut().extend(chunk);
                Vec::new()
            }
            "blow-up" => chunk.repeat(3),
            "copy" => chunk,
            "upper" => chunk.to_ascii_uppercase(),
            _ => {
                task()?;
                chunk
            }
        })
    }

    fn finish(&self) -> Result<Vec<u8>, Error> {
        match self.task.as_str() {
            "mark" => Ok(b"end".to_vec()),
            "error-at-end" => Err(crate::error("input", "cut short")),
            _ => Ok(self.held.take()),
        }
    }
}
