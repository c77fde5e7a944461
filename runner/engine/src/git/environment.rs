//! What git may know: the variables and settings of isolated runs, and those of runs as the user.

use std::ffi::{OsStr, OsString};

/// Settings that outrank those of any repository. A repository's own configuration and work tree belong to
/// somebody else, so every setting that names a program, or a file outside of it, is set here.
pub(super) const HARDENING: &[&str] = &[
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.untrackedCache=false",
    "core.pager=cat",
    "core.editor=false",
    "core.askPass=false",
    "core.sshCommand=false",
    "core.alternateRefsCommand=false",
    "core.useReplaceRefs=false",
    "credential.helper=",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "log.showSignature=false",
    "submodule.recurse=false",
    "diff.ignoreSubmodules=dirty",
    "status.submoduleSummary=false",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.addEmbeddedRepo=false",
];

/// What makes `upload-pack` hand out any commit, and parts of it. It asks who owns a repository, as the configuration in it could name a program
/// to run; ours is told on the command line that there is none.
pub(super) const SERVING: &[&str] = &[
    "safe.directory=*",
    "uploadpack.allowAnySHA1InWant=true",
    "uploadpack.allowFilter=true",
];

/// The same for runs that talk to a remote: credentials, proxies and ssh are the user's, the rest is not.
pub(super) const NETWORK: &[&str] = &[
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    // A stalled transfer fails after a minute and is tried again.
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// The whole environment of an isolated run.
pub(super) fn isolated_variables(path: &OsStr) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = [
        ("HOME", "/nonexistent"),
        ("XDG_CONFIG_HOME", "/nonexistent"),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        // A partial clone may not fetch behind our back; older releases obey the second.
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_ALLOW_PROTOCOL", "none"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    variables.push(("PATH".into(), path.into()));
    variables
}

/// What other programs take for all requests, and what git takes for it.
const TRANSLATED: [(&str, &str); 3] = [
    ("HTTP_PROXY", "http_proxy"),
    ("SSL_CERT_FILE", "GIT_SSL_CAINFO"),
    ("SSL_CERT_DIR", "GIT_SSL_CAPATH"),
];

/// The user's environment without what would point git at some other repository, or make it talk to us in
/// another language.
pub(super) fn user_variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    const LOCAL: [&str; 22] = [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CEILING_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_DEFAULT_HASH",
        "GIT_DEFAULT_REF_FORMAT",
        "GIT_DIR",
        "GIT_EXTERNAL_DIFF",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_TEMPLATE_DIR",
        "GIT_WORK_TREE",
        "LANGUAGE",
    ];
    let mut variables: Vec<(OsString, OsString)> = environment
        .into_iter()
        .filter(|(name, _)| !LOCAL.iter().any(|local| name == local))
        .filter(|(name, _)| name != "LC_ALL" && name != "GIT_TERMINAL_PROMPT")
        .filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"GIT_TRACE"))
        .collect();
    for (name, for_git) in TRANSLATED {
        let of = |name: &str| {
            let found = variables.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.clone())
        };
        if let (Some(value), None) = (of(name), of(for_git)) {
            variables.push((for_git.into(), value));
        }
    }
    variables.extend([
        ("LC_ALL".into(), "C".into()),
        // A prompt in the middle of a progress display answers nobody; credential helpers and ssh still work.
        ("GIT_TERMINAL_PROMPT".into(), "0".into()),
    ]);
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_uses_the_proxy_and_the_authorities_that_we_use() {
        let variables = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into()));
            let mut all = user_variables(pairs);
            all.retain(|(name, _)| name != "LC_ALL" && name != "GIT_TERMINAL_PROMPT");
            let text = all.iter().map(|(name, value)| {
                format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
            });
            text.collect::<Vec<_>>().join(" ")
        };
        for (given, expected) in [
            (&[("HTTP_PROXY", "p")][..], "HTTP_PROXY=p http_proxy=p"),
            (
                &[("HTTP_PROXY", "p"), ("http_proxy", "q")],
                "HTTP_PROXY=p http_proxy=q",
            ),
            (&[("HTTPS_PROXY", "p")], "HTTPS_PROXY=p"),
            (
                &[("SSL_CERT_FILE", "/a"), ("SSL_CERT_DIR", "/b")],
                "SSL_CERT_FILE=/a SSL_CERT_DIR=/b GIT_SSL_CAINFO=/a GIT_SSL_CAPATH=/b",
            ),
            (
                &[("SSL_CERT_FILE", "/a"), ("GIT_SSL_CAINFO", "/c")],
                "SSL_CERT_FILE=/a GIT_SSL_CAINFO=/c",
            ),
        ] {
            assert_eq!(variables(given), expected);
        }
    }
}
