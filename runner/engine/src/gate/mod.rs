//! What waits in a step's container until its script may run.
//!
//! A container is made before its step is due, and its first process is a small shell script, the gate. When the gate opens it takes the step's
//! environment, runs the step's script, and tells on both streams how that ended. `directory` is how script, `environment` and files get there,
//! `marker` what the gate's words look like, `output` finds them in what the container says. How a container is made, told to open and taken away is
//! the engine's affair.

mod directory;
mod environment;
mod marker;
mod output;

pub(crate) use directory::{Directory, open_directory, set_mode, write};
pub(crate) use environment::{environment_file, quote};
pub(crate) use marker::Token;
pub(crate) use output::{Arrival, Finish, Output};

use crate::fault::Fault;
use crate::sandbox::Preparation;

/// Where the control directory is mounted.
pub(crate) const MOUNT: &str = "/.capstan";

/// Path of the gate inside the container.
pub(crate) const GATE: &str = "/.capstan/gate";

/// What is written to the gate's standard input to open it.
pub(crate) const OPEN: &[u8] = b"open\n";

/// From the gate's beginning until the step's script has ended. Its arguments are the halves of the [`Token`], and the step's directory.
macro_rules! run_script {
    () => {
        include_str!("gate.sh")
    };
}

/// How the gate tells of the end.
macro_rules! tell_end {
    () => {
        include_str!("end.sh")
    };
}

/// What a step's container runs where the engine sees the end of all its processes.
pub(crate) const GATE_SCRIPT: &str = concat!(run_script!(), tell_end!());

/// What it runs where only the container itself does: in a pod. See [`crate::pod`].
pub(crate) const POD_GATE_SCRIPT: &str = concat!(
    include_str!("../pod/streams.sh"),
    run_script!(),
    include_str!("../pod/alone.sh"),
    tell_end!()
);

/// The gate would not run a step's script; `word` says why.
pub(crate) fn refused(word: &str, preparation: &Preparation, doing: &str) -> Fault {
    match word {
        "directory" => Fault::workspace(format!(
            "{doing}: entering {} failed: it is no directory, or the image's user may not enter it",
            preparation.step_directory()
        )),
        "env" => Fault::workspace(format!(
            "{doing}: image {} has no `env` utility, which some variables of this step need",
            preparation.image.name
        ))
        .hint("variables with unusual names, or special to shells, need /usr/bin/env in the image"),
        other => Fault::workspace(format!("{doing}: the gate said {other:?}")),
    }
}
