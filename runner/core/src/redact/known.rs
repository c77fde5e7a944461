//! Variables that come from outside and are no secrets.

/// Names whose values are the same for everyone, or are on every screen anyway: blanking them out would take the paths
/// and names out of a log, and protect nothing.
const PUBLIC: [&str; 29] = [
    "CI",
    "COLORTERM",
    "COLUMNS",
    "DISPLAY",
    "EDITOR",
    "GID",
    "GOPATH",
    "GOROOT",
    "HOME",
    "HOST",
    "HOSTNAME",
    "JAVA_HOME",
    "LANG",
    "LANGUAGE",
    "LINES",
    "LOGNAME",
    "NO_COLOR",
    "OLDPWD",
    "PAGER",
    "PATH",
    "PWD",
    "SHELL",
    "SHLVL",
    "TERM",
    "TMPDIR",
    "TZ",
    "UID",
    "USER",
    "VISUAL",
];

/// Whether the variable of this name is known not to be a secret: `HOME`, `PATH`, `USER` and the like, `LC_*` and `XDG_*`.
pub fn is_known_public(name: &str) -> bool {
    name.starts_with("LC_") || name.starts_with("XDG_") || PUBLIC.contains(&name)
}
