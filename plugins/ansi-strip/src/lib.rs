//! Output filter: takes colours, cursor movements and progress lines out of what steps print.

mod strip;

use capstan_plugin::{Channel, Filter, Output, Result, Step, Transform};
use serde::Deserialize;

use crate::strip::Strip;

struct AnsiStrip;

/// The plugin's configuration; see README.md.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    streams: Vec<Stream>,
    progress: bool,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Stream {
    Stdout,
    Stderr,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            streams: vec![Stream::Stdout, Stream::Stderr],
            progress: true,
        }
    }
}

impl Output for AnsiStrip {
    fn filter(_step: &Step, channel: Channel) -> Result<Filter> {
        let config: Config = capstan_plugin::config()?;
        let stream = match channel {
            Channel::Stdout => Stream::Stdout,
            Channel::Stderr => Stream::Stderr,
        };
        Ok(if config.streams.contains(&stream) {
            Filter::chunks(Strip::new(config.progress))
        } else {
            Filter::none()
        })
    }
}

impl Transform for Strip {
    fn push(&mut self, chunk: &[u8], into: &mut Vec<u8>) -> Result<()> {
        Self::push(self, chunk, into);
        Ok(())
    }

    fn finish(&mut self, into: &mut Vec<u8>) -> Result<()> {
        Self::finish(self, into);
        Ok(())
    }
}

capstan_plugin::export!(AnsiStrip: output);

#[cfg(test)]
mod tests {
    use capstan_plugin::test;

    use super::*;

    #[test]
    fn streams_and_progress_are_configured() {
        for (config, channel, kept) in [
            ("{}", Channel::Stdout, "b\n"),
            ("{}", Channel::Stderr, "b\n"),
            (
                r#"{"streams": ["stdout"]}"#,
                Channel::Stderr,
                "\x1b[1ma\rb\n",
            ),
            (r#"{"progress": false}"#, Channel::Stdout, "a\rb\n"),
        ] {
            test::config(config);
            let out = test::filter::<AnsiStrip>(test::Step::default(), channel, ["\x1b[1ma\rb\n"]);
            assert_eq!(out.unwrap(), kept.as_bytes(), "{config}");
        }
    }

    #[test]
    fn unknown_keys_are_told() {
        test::config(r#"{"stream": []}"#);
        let error = AnsiStrip::filter(&test::Step::default().into(), Channel::Stdout);
        let message = error.err().unwrap().message;
        assert!(message.contains("unknown field `stream`"), "{message}");
    }
}
