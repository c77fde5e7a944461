//! What plugins are told of a job and its steps: plain data that the step loop fills.

/// A job: all steps in one workspace. The getters of `wit/job.wit` read this.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Job {
    /// Name of the batch change.
    pub batch_change: String,
    /// Full name of the repository.
    pub repository: String,
    /// Branch without `refs/heads/`; empty if there is none.
    pub branch: String,
    /// Full id of the commit.
    pub commit: String,
    /// Workspace directory in the repository; empty at its root.
    pub path: String,
    /// Its steps with their texts as the batch spec has them.
    pub steps: Vec<Step>,
}

/// A step. The getters of `wit/step.wit` read this.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// From 1.
    pub number: u32,
    /// Image or `wasm://...`.
    pub image: String,
    /// Script.
    pub script: String,
    /// Whether templates have been replaced in all texts.
    pub rendered: bool,
    /// Its `if`, as the batch spec has it.
    pub condition: Option<String>,
    /// Its environment in byte order; `None` for a value that is a secret.
    pub environment: Vec<(String, Option<String>)>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Targets of its files.
    pub files: Vec<String>,
    /// Names of the outputs it declares.
    pub outputs: Vec<String>,
    /// Network mode; `None` for the engine's default.
    pub network: Option<String>,
    /// What it may use.
    pub limits: StepLimits,
}

/// A host path shown inside a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute path in the step.
    pub target: String,
    /// Whether the step may only read it.
    pub read_only: bool,
}

/// What a step may use; `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepLimits {
    /// MiB of memory.
    pub memory: Option<u32>,
    /// Thousandths of a processor.
    pub cpus: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Seconds.
    pub timeout: Option<u32>,
}
