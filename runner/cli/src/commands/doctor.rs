//! `capstan doctor`: what is wrong with this machine, and how to mend it.

use std::fmt::Write as _;
use std::path::Path;

use capstan_engine::docker::EngineInfo;
use capstan_engine::workspace::{Method, Sight};
use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::args::Doctor;
use crate::config::{Config, Environment, ExecutorConfig, Origin};
use crate::failure::{Exit, Failed};
use crate::{printer, tools, workplace};

/// Least free space that does not make one worry.
const LITTLE_SPACE: u64 = 1 << 30;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    check: &'static str,
    verdict: Verdict,
    /// What was seen.
    message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Error,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            message: message.into(),
            hint: None,
        }
    }

    fn warning(check: &'static str, message: impl Into<String>, hint: &str) -> Self {
        let hint = Some(hint.to_owned());
        Self {
            check,
            verdict: Verdict::Warning,
            message: message.into(),
            hint,
        }
    }

    fn error(check: &'static str, failed: Failed) -> Self {
        Self {
            check,
            verdict: Verdict::Error,
            message: failed.message,
            hint: failed.hint,
        }
    }
}

pub(super) async fn run(
    args: Doctor,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let config = Config::load(config_file, environment, &args.settings, &directory)?;
    let mut findings = vec![settings(&config)];
    findings.push(match tools::open_git(environment).await {
        Ok(git) => Finding::ok(
            "git",
            format!("{} at {}", git.version(), git.program().display()),
        ),
        Err(failed) => Finding::error("git", failed),
    });
    let (of_engine, sight) = engine(&config, environment).await;
    findings.extend(of_engine);
    if environment.get("EXECUTOR_FRONTEND_URL").is_some() {
        findings.push(executor(environment));
    }
    let spaces = [
        space("state", &config.state_dir),
        space("cache", &config.cache_dir),
    ];
    let may_be_used = spaces.iter().all(|space| space.verdict != Verdict::Error);
    findings.extend(spaces);
    if may_be_used {
        findings.push(workspaces(&config, sight));
    }
    if args.json {
        let json = serde_json::to_string_pretty(&findings).map_err(Failed::environment)?;
        printer::result_line(json).map_err(Failed::environment)?;
    } else {
        for finding in &findings {
            printer::result_line(line(finding)).map_err(Failed::environment)?;
        }
    }
    let unfit = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Error);
    Ok(if unfit {
        Exit::Environment
    } else {
        Exit::Success
    })
}

/// The variables of `capstan executor`, where they are set. Whether the server accepts the secret is for `executor validate` to say.
fn executor(environment: &Environment) -> Finding {
    match ExecutorConfig::read(environment) {
        Ok(config) => Finding::ok("executor", format!("takes jobs from {}", config.frontend)),
        Err(problems) => Finding::error("executor", problems.into()),
    }
}

fn line(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Ok => "✓".green().to_string(),
        Verdict::Warning => "!".yellow().to_string(),
        Verdict::Error => "✗".red().to_string(),
    };
    let mut text = format!("{mark} {}: {}", finding.check.bold(), finding.message);
    if let Some(hint) = &finding.hint {
        let _ = write!(text, "\n  {} {hint}", "hint:".cyan().bold());
    }
    text
}

/// What is set other than by default, and the warnings of the settings file.
fn settings(config: &Config) -> Finding {
    let set: Vec<String> = config
        .origins
        .iter()
        .filter(|(_, (_, origin))| *origin != Origin::Default)
        .map(|(key, (value, origin))| format!("{key} = {value} (from {origin})"))
        .collect();
    let message = if set.is_empty() {
        "all at their defaults".to_owned()
    } else {
        set.join(", ")
    };
    if config.warnings.is_empty() {
        return Finding::ok("settings", message);
    }
    Finding::warning("settings", message, &config.warnings.join("; "))
}

/// How workspaces get their files, and why not in a faster way.
fn workspaces(config: &Config, engine: Option<Sight<'_>>) -> Finding {
    const CHECK: &str = "workspaces";
    let cache = tools::checkouts_of(config);
    match workplace::checkouts(config, &cache, &config.state_dir, engine) {
        Ok(chosen) => {
            let how = match chosen.method {
                Method::Overlay => "overlays of a shared checkout",
                Method::Volume => "overlays of a shared checkout, mounted by the container engine",
                Method::Reflink => "copies of a shared checkout that share its blocks",
                Method::Checkout => "a checkout each",
            };
            let refused = chosen.refused.iter();
            let refused = refused.map(|(method, why)| format!("; no {}: {why}", method.name()));
            Finding::ok(CHECK, format!("{how}{}", refused.collect::<String>()))
        }
        Err(fault) => Finding::error(CHECK, fault.into()),
    }
}

/// What there is to say of the engine, and how it sees this machine.
async fn engine(
    config: &Config,
    environment: &Environment,
) -> (Vec<Finding>, Option<Sight<'static>>) {
    let docker = match workplace::connect(config, environment).await {
        Ok(docker) => docker,
        Err(failed) => return (vec![Finding::error("engine", failed)], None),
    };
    let info = match docker.info().await {
        Ok(info) => info,
        Err(fault) => return (vec![Finding::error("engine", fault.into())], None),
    };
    let name = if info.podman { "Podman" } else { "Docker" };
    let mut findings = vec![Finding::ok(
        "engine",
        format!(
            "{name} {} (API {}) at {}, {}, {}",
            info.version,
            info.api_version,
            docker.address(),
            info.platform(),
            crate::text::plural(info.cpus, "processor"),
        ),
    )];
    findings.extend(limits(config, &info));
    if info.selinux {
        findings.push(Finding::warning(
            "engine",
            "SELinux labels containers",
            "if steps are refused their files, run the engine with label=disable or relabel the state directory",
        ));
    }
    if info.user_namespaces {
        findings.push(Finding::warning(
            "engine",
            "users in containers are mapped to others outside (userns-remap)",
            "the remapped users must be able to enter the state directory",
        ));
    }
    findings.extend(info.warnings.iter().map(|warning| {
        Finding::warning("engine", warning.clone(), "see the engine's documentation")
    }));
    (findings, Some(info.sight()))
}

/// Limits that are asked for but that the engine cannot enforce.
fn limits(config: &Config, info: &EngineInfo) -> Vec<Finding> {
    [
        (config.cpus.is_some(), info.cpu_limit, "processors"),
        (config.memory.is_some(), info.memory_limit, "memory"),
        (config.pids.is_some(), info.pids_limit, "processes"),
    ]
    .into_iter()
    .filter(|(asked, able, _)| *asked && !able)
    .map(|(_, _, what)| {
        let message = format!("a limit on {what} is set, but the engine cannot enforce it");
        Finding::warning(
            "engine",
            message,
            "enable the cgroup controller, or drop the limit",
        )
    })
    .collect()
}

/// Whether a directory can be written to, and how much room there is.
fn space(check: &'static str, directory: &Path) -> Finding {
    let probe = || -> std::io::Result<u64> {
        fs_err::create_dir_all(directory)?;
        tempfile::tempfile_in(directory)?;
        capstan_engine::state::free_space(directory)
    };
    let place = directory.display();
    match probe() {
        Ok(free) if free < LITTLE_SPACE => Finding::warning(
            check,
            format!("{place}: only {} MiB free", free >> 20),
            "free some space, or choose another directory",
        ),
        Ok(free) => Finding::ok(check, format!("{place}: {} GiB free", free >> 30)),
        Err(error) => Finding::error(
            check,
            Failed::environment(format!("{place}: {error}"))
                .hint(format!("choose another directory with --{check}-dir")),
        ),
    }
}
