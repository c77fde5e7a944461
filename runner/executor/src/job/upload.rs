//! Uploads of code intelligence indexes (facts/executor-protocol.md 9): what `src code-intel upload` would do in a container, with the executor's
//! secret in its environment, is done here. The index goes to the server that the job came from and nowhere else.

use std::io::{self, Read, Seek as _};
use std::time::Duration;

use capstan_core::go_flags::{self, Flag, Parsed};
use capstan_core::wasm_step::words;
use capstan_engine::sandbox::Stream;
use capstan_protocol::{CliStep, DockerStep};
use flate2::Compression;
use flate2::read::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::check::Surroundings;
use super::paths::Below;
use super::{Ending, Engines, Running, ending, files};
use crate::log::Entry;

/// Most bytes of one request, as the client of the original has it; in its flag a number stands for so many times [`MEGABYTE`].
const PART: u64 = 100 * MEGABYTE;
const MEGABYTE: u64 = 1_000_000;

/// How often a request is made again, and the wait before that.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(15 * 60);

/// Bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

/// Bytes of an index that are looked at to find out who made it.
const HEAD: u64 = 1 << 20;

const fn flag(name: &'static str, boolean: bool) -> Flag {
    Flag {
        name,
        boolean,
        about: "",
    }
}

/// The flags that we understand. A command with others runs as it is.
const FLAGS: &[Flag] = &[
    flag("repo", false),
    flag("commit", false),
    flag("root", false),
    flag("file", false),
    flag("indexer", false),
    flag("indexerVersion", false),
    flag("indexer-version", false),
    flag("upload-route", false),
    flag("associated-index-id", false),
    flag("max-payload-size", false),
    flag("no-progress", true),
    flag("ignore-upload-failure", true),
    flag("json", true),
];

/// An upload that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upload {
    route: String,
    file: Below,
    /// Whether a failed upload fails the job.
    must_succeed: bool,
    /// `repository`, `commit`, `root`, `associatedIndexId`.
    query: Vec<(&'static str, String)>,
    indexer: Option<String>,
    indexer_version: Option<String>,
    /// Most bytes of one request.
    part: u64,
    /// `SRC_HEADER_*`, by header.
    headers: Vec<(String, String)>,
}

impl Upload {
    /// What a docker step uploads; `None` if it does anything else.
    pub(super) fn of_docker_step(step: &DockerStep, surroundings: &Surroundings) -> Option<Self> {
        let [line] = &*step.commands else { return None };
        let words = words::split(line).ok()?;
        let (program, arguments) = words.split_first()?;
        (program == "src").then(|| Self::of(arguments, surroundings))?
    }

    /// What a step that calls `src` uploads; `None` if it does anything else.
    pub(super) fn of_cli_step(step: &CliStep, surroundings: &Surroundings) -> Option<Self> {
        Self::of(&step.command, surroundings)
    }

    fn of(arguments: &[String], surroundings: &Surroundings) -> Option<Self> {
        let [group, upload, flags @ ..] = arguments else {
            return None;
        };
        if !matches!(&**group, "code-intel" | "lsif") || upload != "upload" {
            return None;
        }
        let Ok(Parsed::Values(values)) = go_flags::parse(FLAGS, flags) else {
            return None;
        };
        let get = |name: &str| values.get(name).filter(|value| !value.is_empty()).cloned();
        let route = get("upload-route").unwrap_or_else(|| "/.api/lsif/upload".to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if !route.starts_with('/') || !route.chars().all(plain) || route.contains("..") {
            return None;
        }
        let file = get("file").unwrap_or_else(|| "dump.lsif".to_owned());
        let file = match surroundings.directory.is_root() {
            true => file,
            false => format!("{}/{file}", surroundings.directory),
        };
        let mut query = vec![
            ("repository", get("repo")?),
            ("commit", get("commit")?),
            ("root", get("root").unwrap_or_default()),
        ];
        query.extend(get("associated-index-id").map(|id| ("associatedIndexId", id)));
        let part = match get("max-payload-size") {
            None => PART,
            Some(text) => match text.parse::<u64>().ok()?.checked_mul(MEGABYTE)? {
                0 => return None,
                part => part,
            },
        };
        let headers = surroundings.environment.iter().filter_map(|(name, value)| {
            let header = name.strip_prefix("SRC_HEADER_")?;
            Some((header.replace('_', "-").to_ascii_lowercase(), value.clone()))
        });
        Some(Self {
            route,
            file: Below::file("index", &file).ok()?,
            must_succeed: !values.contains_key("ignore-upload-failure"),
            query,
            indexer: get("indexer"),
            indexer_version: get("indexerVersion").or_else(|| get("indexer-version")),
            part,
            headers: headers.collect(),
        })
    }

    /// Uploads, and tells of it in `entry`, whose key is `key`.
    pub(super) async fn run<S: Engines>(
        &self,
        running: &Running<'_, S>,
        entry: Entry,
        key: &str,
    ) -> Result<(), Ending> {
        let uploaded = tokio::select! {
            biased;
            () = running.stop.cancelled() => {
                entry.close(-1);
                return Err(ending::cancelled());
            }
            uploaded = self.upload(running, &entry) => uploaded,
        };
        match uploaded {
            Ok(id) => {
                let line = format!("uploaded {}; the server calls it {id}", self.file);
                entry.line(Stream::Stdout, line.as_bytes());
            }
            Err(error) => {
                entry.line(Stream::Stderr, format!("error: {error}").as_bytes());
                if self.must_succeed {
                    entry.close(1);
                    return Err(Ending::Errored(ending::command_failed(key, 1)));
                }
            }
        }
        entry.close(0);
        Ok(())
    }

    #[tracing::instrument(name = "upload", skip_all, fields(upload.file = %self.file))]
    async fn upload<S: Engines>(
        &self,
        running: &Running<'_, S>,
        entry: &Entry,
    ) -> Result<String, String> {
        let (data, scratch) = (running.place.data(), running.place.scratch());
        let path = self.file.clone();
        let read = tokio::task::spawn_blocking(move || Index::read(&data, &path, &scratch));
        let index = read
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("reading {}: {error}", self.file))?;
        let client = running.context.client.as_ref();
        let mut url = client.url(&self.route);
        {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &self.query {
                pairs.append_pair(name, value);
            }
            let maker = index.maker.clone().unwrap_or_default();
            let name = self.indexer.clone().unwrap_or(maker.0);
            let version = self.indexer_version.clone().unwrap_or(maker.1);
            for (key, value) in [("indexerName", name), ("indexerVersion", version)] {
                if !value.is_empty() {
                    pairs.append_pair(key, &value);
                }
            }
        }
        let request = Requests {
            http: client.http(),
            headers: self.headers(client.secret().reveal(), index.is_scip)?,
            part: self.part,
            entry,
        };
        if index.compressed <= self.part {
            let whole = (&index, 0);
            let answer = request.post(&url, Some(index.bytes), Some(whole)).await?;
            return id_of(&answer);
        }
        let parts = index.compressed.div_ceil(self.part);
        let with = |pairs: &[(&str, String)]| {
            let mut url = url.clone();
            url.query_pairs_mut().extend_pairs(pairs);
            url
        };
        let text = |name: &'static str, value: &str| (name, value.to_owned());
        let begin = with(&[text("multiPart", "true"), ("numParts", parts.to_string())]);
        let id = id_of(&request.post(&begin, Some(index.bytes), None).await?)?;
        for part in 0..parts {
            let url = with(&[text("uploadId", &id), ("index", part.to_string())]);
            request
                .post(&url, None, Some((&index, part * self.part)))
                .await?;
        }
        let end = with(&[text("uploadId", &id), text("done", "true")]);
        request.post(&end, None, None).await?;
        Ok(id)
    }

    fn headers(&self, secret: &str, is_scip: bool) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        let own = format!("{} {secret}", capstan_protocol::route::EXECUTOR_SCHEME);
        let own = [("authorization".to_owned(), own)];
        for (name, value) in own.iter().chain(&self.headers) {
            let wrong = || format!("the header {name} cannot be sent");
            let name: HeaderName = name.parse().map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            value.set_sensitive(name == AUTHORIZATION);
            headers.insert(name, value);
        }
        let kind = match is_scip {
            true => "application/x-protobuf+scip",
            false => "application/x-ndjson+lsif",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(headers)
    }
}

fn id_of(answer: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Answer {
        id: String,
    }
    serde_json::from_slice(answer)
        .map(|Answer { id }| id)
        .map_err(|error| format!("the server's answer has no id: {error}"))
}

/// Makes the requests of one upload.
struct Requests<'a> {
    http: &'a reqwest::Client,
    headers: HeaderMap,
    /// Most bytes of one request.
    part: u64,
    entry: &'a Entry,
}

impl Requests<'_> {
    /// Posts a part of the index, which begins at this byte, or nothing. Tries again where the server is to blame.
    async fn post(
        &self,
        url: &reqwest::Url,
        uncompressed: Option<u64>,
        part: Option<(&Index, u64)>,
    ) -> Result<Vec<u8>, String> {
        let mut tries = 0;
        loop {
            let mut request = self
                .http
                .post(url.clone())
                .headers(self.headers.clone())
                .timeout(REQUEST);
            if let Some(bytes) = uncompressed {
                request = request.header("X-Uncompressed-Size", bytes);
            }
            request = match part {
                Some((index, from)) => {
                    let failed =
                        |error: io::Error| format!("reading the compressed index: {error}");
                    let (body, length) = index.part(from, self.part).map_err(failed)?;
                    request.header("content-length", length).body(body)
                }
                None => request.body(Vec::new()),
            };
            let problem = match request.send().await {
                Ok(answer) if answer.status().as_u16() < 300 => return read(answer).await,
                Ok(answer) => {
                    let status = answer.status();
                    let text = read(answer).await.unwrap_or_default();
                    let text = String::from_utf8_lossy(&text).trim().to_owned();
                    let problem = match status.as_u16() {
                        401 => "the server does not accept the executor's secret (401)".to_owned(),
                        403 => "the server forbids the upload (403)".to_owned(),
                        code => format!("the server answered with status code {code}: {text}"),
                    };
                    if status.as_u16() < 500 {
                        return Err(problem);
                    }
                    problem
                }
                // The address holds nothing that the log does not have, and the cause says more.
                Err(error) => capstan_plugin_store::net::cause(&error.without_url()),
            };
            if tries == TRIES {
                return Err(problem);
            }
            tries += 1;
            let line = format!("{problem}; trying again");
            self.entry.line(Stream::Stderr, line.as_bytes());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| error.without_url().to_string())?
    {
        let room = ANSWER.saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(bytes)
}

/// An index, compressed, in a file without a name.
struct Index {
    file: std::fs::File,
    bytes: u64,
    compressed: u64,
    is_scip: bool,
    /// Name and version of the program that made it.
    maker: Option<(String, String)>,
}

impl Index {
    fn read(data: &std::path::Path, path: &Below, scratch: &std::path::Path) -> io::Result<Self> {
        let mut source = files::open(data, path)?;
        let is_scip = path
            .names()
            .last()
            .is_some_and(|name| name.ends_with(".scip"));
        let mut head = Vec::new();
        Read::by_ref(&mut source)
            .take(HEAD)
            .read_to_end(&mut head)?;
        source.rewind()?;
        let bytes = source.metadata()?.len();
        let mut file = tempfile::tempfile_in(scratch)?;
        let compressed = io::copy(
            &mut GzEncoder::new(source, Compression::default()),
            &mut file,
        )?;
        Ok(Self {
            file,
            bytes,
            compressed,
            is_scip,
            maker: match is_scip {
                true => scip_maker(&head),
                false => lsif_maker(&head),
            },
        })
    }

    /// The part that begins at this byte and has at most `most` of them, as a body, and its length.
    fn part(&self, from: u64, most: u64) -> io::Result<(reqwest::Body, u64)> {
        use std::os::unix::fs::FileExt as _;
        let length = most.min(self.compressed - from);
        let file = self.file.try_clone()?;
        let pieces = futures_util::stream::try_unfold(0, move |at| {
            let file = file.try_clone();
            async move {
                let read = move || {
                    let file = file?;
                    let left = usize::try_from(length - at).unwrap_or(usize::MAX);
                    let mut piece = vec![0; left.min(256 << 10)];
                    file.read_exact_at(&mut piece, from + at)?;
                    Ok::<_, io::Error>(piece)
                };
                if at == length {
                    return Ok(None);
                }
                let piece = tokio::task::spawn_blocking(read).await;
                let piece = piece.map_err(io::Error::other)??;
                let next = at + piece.len() as u64;
                Ok::<_, io::Error>(Some((piece, next)))
            }
        });
        Ok((reqwest::Body::wrap_stream(pieces), length))
    }
}

/// Who made an LSIF index: its first line says it.
fn lsif_maker(head: &[u8]) -> Option<(String, String)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct MetaData {
        tool_info: Tool,
    }
    #[derive(Deserialize)]
    struct Tool {
        name: String,
        #[serde(default)]
        version: String,
    }
    let line = head.split(|&byte| byte == b'\n').next()?;
    let MetaData { tool_info } = serde_json::from_slice(line).ok()?;
    Some((tool_info.name, tool_info.version))
}

/// Who made a SCIP index: field 2 (tool) of field 1 (metadata), with its fields 1 (name) and 2 (version).
fn scip_maker(head: &[u8]) -> Option<(String, String)> {
    let tool = field(field(head, 1)?, 2)?;
    let text = |number| {
        let bytes = field(tool, number).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    Some((text(1), text(2))).filter(|(name, _)| !name.is_empty())
}

/// The first field of this number in a message of protocol buffers, if it is one of bytes.
fn field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => drop(varint(&mut message)?),
            1 => message = message.get(8..)?,
            5 => message = message.get(4..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let value = message.get(..length)?;
                if tag >> 3 == wanted {
                    return Some(value);
                }
                message = &message[length..];
            }
            _ => return None,
        }
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
