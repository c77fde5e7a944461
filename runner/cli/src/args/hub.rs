//! The command line of `capstan hub`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Hub {
    /// Runs a hub: the queue that executors take jobs from, and pages to look at.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<Serve>),
    /// Submits a batch spec; prints the number of the execution.
    #[command(after_help = SUBMIT_EXAMPLES)]
    Submit(Submit),
    /// Lists executions, the newest first.
    List(List),
    /// Shows an execution: its jobs and its changesets.
    Show(Show),
    /// Prints the logs of an execution's jobs.
    #[command(after_help = LOGS_EXAMPLES)]
    Logs(Logs),
    /// Cancels what has not ended of an execution.
    Cancel(Change),
    /// Runs again what failed or was cancelled of an execution, from the last step whose result is known.
    Retry(Change),
}

const SERVE_EXAMPLES: &str = "\
Examples:
  capstan hub serve --with-executor                 all of it on this machine
  capstan hub serve --repository /srv/git/widgets --repository tools=https://git.example/acme/tools

Other executors attach with EXECUTOR_FRONTEND_URL, EXECUTOR_FRONTEND_PASSWORD and EXECUTOR_QUEUE_NAME=batches.";

const SUBMIT_EXAMPLES: &str = "\
Examples:
  capstan hub submit -f spec.yaml ./widgets         runs it on a repository of the hub's machine
  capstan hub submit -f spec.yaml --wait            on what its `on` names, until it has ended";

const LOGS_EXAMPLES: &str = "\
Examples:
  capstan hub logs 1 --follow                       as they are written, until execution 1 has ended
  capstan hub logs 1 --job 3 | less                 one job's";

/// Which hub, and who asks.
#[derive(Debug, Args)]
pub(crate) struct Contact {
    /// Where the hub is; default: CAPSTAN_HUB_URL, else http://127.0.0.1:7080.
    #[arg(long, value_name = "URL", help_heading = "Hub")]
    pub(crate) hub: Option<String>,

    /// File with the hub's token; default: CAPSTAN_HUB_TOKEN, else the token of this user's own hub on this machine.
    #[arg(long, value_name = "FILE", help_heading = "Hub")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Directory of the database and of fetched repositories; default: CAPSTAN_HUB_DATA, else capstan/hub below the user's data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Address to listen on. Elsewhere than on this machine, both secrets must be given.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7080")]
    pub(crate) listen: String,

    /// Runs an executor in the same process.
    #[arg(long)]
    pub(crate) with_executor: bool,

    /// Repository that batch specs may name: a path or a git URL, with the NAME that specs call it by. May be repeated.
    #[arg(long, value_name = "[NAME=]REPO")]
    pub(crate) repository: Vec<String>,

    /// How long an executor may be silent until its jobs go to others. Executors say every 5 s that they live.
    #[arg(long, value_name = "DURATION", default_value = "25s")]
    pub(crate) lease: String,

    /// How long executions are kept after their end.
    #[arg(long, value_name = "DURATION", default_value = "168h")]
    pub(crate) keep: String,

    /// How long results of steps are kept, for executions that need them again.
    #[arg(long, value_name = "DURATION", default_value = "720h")]
    pub(crate) keep_results: String,

    /// Image in the jobs for Sourcegraph's executors; Capstan's do not pull it.
    #[arg(
        long,
        value_name = "IMAGE",
        default_value = "sourcegraph/batcheshelper:5.5.0"
    )]
    pub(crate) helper_image: String,

    /// File with the secret that executors share; default: EXECUTOR_FRONTEND_PASSWORD, else one that is made in the data directory.
    #[arg(long, value_name = "FILE", help_heading = "Secrets")]
    pub(crate) executor_secret_file: Option<PathBuf>,

    /// File with the token of people; default: CAPSTAN_HUB_TOKEN, else one that is made in the data directory.
    #[arg(long, value_name = "FILE", help_heading = "Secrets")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    #[command(flatten)]
    pub(crate) spec: super::Spec,

    /// Repositories that replace the spec's `on`: paths on the hub's machine, git URLs, or names that the hub knows; `#REF` after a URL names a branch or
    /// commit.
    #[arg(value_name = "REPO")]
    pub(crate) repositories: Vec<String>,

    /// Runs every step, even where its result is known.
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// Waits for the end, and ends with 1 if a job failed.
    #[arg(long)]
    pub(crate) wait: bool,

    /// Prints the execution as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) contact: Contact,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Lists those before this one; 100 are listed at a time.
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<i64>,

    /// Prints them as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) contact: Contact,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Number of the execution.
    #[arg(value_name = "ID")]
    pub(crate) id: i64,

    /// Writes DIR/changesets.json and DIR/REPOSITORY/BRANCH.patch, as `capstan batch run` does.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    /// Prints the diffs.
    #[arg(long, conflicts_with = "json")]
    pub(crate) diff: bool,

    /// Prints the execution as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) contact: Contact,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Number of the execution.
    #[arg(value_name = "ID")]
    pub(crate) id: i64,

    /// Only of this job.
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<i64>,

    /// Prints what jobs log as they log it, until the execution ends; ends with 1 if a job failed.
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) follow: bool,

    /// Prints the entries as lines of JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) contact: Contact,
}

#[derive(Debug, Args)]
pub(crate) struct Change {
    /// Number of the execution.
    #[arg(value_name = "ID")]
    pub(crate) id: i64,

    /// Prints the execution as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) contact: Contact,
}
