//! Stands in for the host off WebAssembly, so that the logic of a plugin can be tested with `cargo test`. The modules and their
//! items are named as wit-bindgen names those of `wit/`. [`crate::test`] is what a test sees of it.

pub(crate) mod changes;
mod parse;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a test has set up, and what the plugin did. Each thread, and so each test, has its own.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) config: Option<String>,
    pub(crate) messages: Vec<(crate::log::Level, String)>,
    pub(crate) scratch: BTreeMap<String, Vec<u8>>,
    pub(crate) workspace: Option<PathBuf>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

pub(crate) fn world<T>(with: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(with)
}

pub(crate) mod types {
    /// Why a call could not be answered: the plugin failed, not the job.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Error {
        /// A short, stable word for programs: `config`, `input`, `io`, ...
        pub code: String,
        /// For people: what happened, where, and what to do next.
        pub message: String,
        /// Whether the same call may succeed when it is made again.
        pub retryable: bool,
    }

    impl std::fmt::Display for Error {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{} ({})", self.message, self.code)
        }
    }

    impl std::error::Error for Error {}

    /// A "no" from a plugin that works as it should. [`refuse`](crate::refuse) makes one.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Refusal {
        /// The rule that was broken, as the plugin's documentation names it.
        pub rule: String,
        /// For people: what broke the rule, and what would be accepted.
        pub reason: String,
        /// Further facts as pairs of name and value; shown in order.
        pub details: Vec<(String, String)>,
    }
}

pub(crate) mod log {
    pub(crate) use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str) {
        super::world(|world| world.messages.push((level, message.to_owned())));
    }
}

pub(crate) mod config {
    pub(crate) fn json() -> String {
        super::world(|world| world.config.clone()).unwrap_or_else(|| "{}".to_owned())
    }

    #[cfg(feature = "serde")]
    pub(crate) fn get(key: &str) -> Option<String> {
        let config: serde_json::Value = serde_json::from_str(&json()).ok()?;
        match config.get(key)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Without a JSON reader there is nothing to look into.
    #[cfg(not(feature = "serde"))]
    pub(crate) fn get(_key: &str) -> Option<String> {
        None
    }
}

pub(crate) mod scratch {
    pub(crate) enum StoreError {
        Quota,
        Key,
    }

    /// The least that a host gives a plugin for one job.
    const QUOTA: usize = 1024 * 1024;

    pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
        super::world(|world| world.scratch.get(key).cloned())
    }

    pub(crate) fn set(key: &str, value: &[u8]) -> Result<(), StoreError> {
        if key.is_empty() || key.len() > 256 {
            return Err(StoreError::Key);
        }
        super::world(|world| {
            let others = world.scratch.iter().filter(|(other, _)| *other != key);
            let used: usize = others.map(|(key, value)| key.len() + value.len()).sum();
            if used + key.len() + value.len() > QUOTA {
                return Err(StoreError::Quota);
            }
            world.scratch.insert(key.to_owned(), value.to_vec());
            Ok(())
        })
    }

    pub(crate) fn delete(key: &str) {
        super::world(|world| world.scratch.remove(key));
    }

    pub(crate) fn keys() -> Vec<String> {
        super::world(|world| world.scratch.keys().cloned().collect())
    }
}

pub(crate) mod files {
    use crate::Error;

    pub(crate) fn set_executable(path: &str, executable: bool) -> Result<(), Error> {
        let Some(root) = super::world(|world| world.workspace.clone()) else {
            return Err(Error::new("io", "the workspace may not be written"));
        };
        let path = root.join(path);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = if executable { 0o755 } else { 0o644 };
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        #[cfg(not(unix))]
        let _ = (path, executable);
        Ok(())
    }
}

pub(crate) mod job {
    use super::step::Step;
    use crate::test;

    /// The job: all steps of a batch spec in one workspace. Owned by the host.
    #[derive(Debug, Clone)]
    pub struct Job(pub(crate) test::Job);

    impl Job {
        /// Name of the batch change; empty if the job has none.
        pub fn batch_change(&self) -> String {
            self.0.batch_change.clone()
        }

        /// Full name of the repository: `github.com/acme/widgets`.
        pub fn repository(&self) -> String {
            self.0.repository.clone()
        }

        /// Branch the job starts from, without `refs/heads/`; empty for a commit that no branch names.
        pub fn branch(&self) -> String {
            self.0.branch.clone()
        }

        /// Full id of the commit the job starts from.
        pub fn commit(&self) -> String {
            self.0.commit.clone()
        }

        /// Workspace directory inside the repository, without a leading or trailing `/`; empty at its root.
        pub fn path(&self) -> String {
            self.0.path.clone()
        }

        /// How many steps the job has.
        pub fn step_count(&self) -> u32 {
            u32::try_from(self.0.steps.len()).unwrap_or(u32::MAX)
        }

        /// A step as the batch spec has it, texts not rendered; steps count from 1.
        pub fn step(&self, number: u32) -> Option<Step> {
            let index = usize::try_from(number).ok()?.checked_sub(1)?;
            let mut step = self.0.steps.get(index)?.clone();
            step.number = number;
            step.rendered = false;
            Some(Step(step))
        }

        /// A fact this version of the interface has no function for; none if the host does not know it.
        pub fn attribute(&self, _name: &str) -> Option<String> {
            None
        }
    }
}

pub(crate) mod step {
    use std::cell::RefCell;

    use crate::test;

    /// A directory or file of the host that is shown inside the step.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Mount {
        /// Absolute path on the host.
        pub source: String,
        /// Absolute path in the step.
        pub target: String,
        /// Whether the step may only read it.
        pub read_only: bool,
    }

    /// One step of a job. Owned by the host.
    #[derive(Debug, Clone)]
    pub struct Step(pub(crate) test::Step);

    impl Step {
        /// Its number in the job, from 1.
        pub fn number(&self) -> u32 {
            self.0.number
        }

        /// The image, or `wasm://...`, as the batch spec has it or as templates made it: see [`Step::rendered`].
        pub fn image(&self) -> String {
            self.0.image.clone()
        }

        /// The script, as the batch spec has it or as templates made it.
        pub fn script(&self) -> String {
            self.0.script.clone()
        }

        /// Whether templates have been replaced in all texts. They have when the step is about to run, and have not when the
        /// job is looked at before it starts.
        pub fn rendered(&self) -> bool {
            self.0.rendered
        }

        /// The condition under which it runs, as the batch spec has it; none if it always does.
        pub fn condition(&self) -> Option<String> {
            self.0.condition.clone()
        }

        /// Names of its environment variables, in byte order.
        pub fn environment_names(&self) -> Vec<String> {
            self.0.environment.keys().cloned().collect()
        }

        /// The value of an environment variable. None for one that is not set, and for a secret.
        pub fn environment_value(&self, name: &str) -> Option<String> {
            self.0.environment.get(name)?.clone()
        }

        /// Its mounts, those of the operator included.
        pub fn mounts(&self) -> Vec<Mount> {
            self.0.mounts.clone()
        }

        /// Absolute paths of the files that the batch spec makes for it, in byte order.
        pub fn files(&self) -> Vec<String> {
            self.0.files.clone()
        }

        /// Names of the outputs it declares, in the batch spec's order.
        pub fn outputs(&self) -> Vec<String> {
            self.0.outputs.clone()
        }

        /// Its network: `none`, `host`, `bridge`, or a name the engine knows; none for the engine's default.
        pub fn network(&self) -> Option<String> {
            self.0.network.clone()
        }

        /// Most memory it may use, in MiB; none: no limit.
        pub fn memory(&self) -> Option<u32> {
            self.0.memory
        }

        /// Most processors it may use, in thousandths of one; none: no limit.
        pub fn cpus(&self) -> Option<u32> {
            self.0.cpus
        }

        /// Most processes and threads it may have; none: no limit.
        pub fn pids(&self) -> Option<u32> {
            self.0.pids
        }

        /// The longest it may run, in seconds; none: as long as the job.
        pub fn timeout(&self) -> Option<u32> {
            self.0.timeout
        }

        /// A fact this version of the interface has no function for; none if the host does not know it.
        pub fn attribute(&self, _name: &str) -> Option<String> {
            None
        }
    }

    type Change = Box<dyn Fn(&mut test::Step)>;

    /// Changes to a step, for [`Decision::Change`](crate::Decision::Change). The host checks the result: a change that makes
    /// no sense fails the call.
    pub struct Amendment(RefCell<Vec<Change>>);

    impl std::fmt::Debug for Amendment {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "Amendment({} changes)", self.0.borrow().len())
        }
    }

    impl Amendment {
        /// No change yet.
        pub fn new() -> Self {
            Self(RefCell::default())
        }

        /// Makes the changes.
        pub(crate) fn apply(&self, step: &mut test::Step) {
            for change in self.0.borrow().iter() {
                change(step);
            }
        }

        fn add(&self, change: impl Fn(&mut test::Step) + 'static) {
            self.0.borrow_mut().push(Box::new(change));
        }

        /// Runs the step in another image.
        pub fn set_image(&self, image: &str) {
            let image = image.to_owned();
            self.add(move |step| step.image.clone_from(&image));
        }

        /// Sets an environment variable, replacing its value if it has one.
        pub fn set_environment(&self, name: &str, value: &str) {
            let (name, value) = (name.to_owned(), value.to_owned());
            self.add(move |step| {
                step.environment.insert(name.clone(), Some(value.clone()));
            });
        }

        /// Takes an environment variable away.
        pub fn remove_environment(&self, name: &str) {
            let name = name.to_owned();
            self.add(move |step| {
                step.environment.remove(&name);
            });
        }

        /// Adds a mount, replacing one with the same target.
        pub fn add_mount(&self, mount: &Mount) {
            let mount = mount.clone();
            self.add(move |step| {
                step.mounts.retain(|other| other.target != mount.target);
                step.mounts.push(mount.clone());
            });
        }

        /// Takes the mount with this target away.
        pub fn remove_mount(&self, target: &str) {
            let target = target.to_owned();
            self.add(move |step| step.mounts.retain(|mount| mount.target != target));
        }

        /// Sets the network: `none`, `host`, `bridge`, or a name the engine knows.
        pub fn set_network(&self, network: &str) {
            let network = network.to_owned();
            self.add(move |step| step.network = Some(network.clone()));
        }

        /// Limits memory, in MiB; at least 4.
        pub fn set_memory(&self, mebibytes: u32) {
            self.add(move |step| step.memory = Some(mebibytes));
        }

        /// Limits processors, in thousandths of one; at least 10.
        pub fn set_cpus(&self, thousandths: u32) {
            self.add(move |step| step.cpus = Some(thousandths));
        }

        /// Limits processes and threads; at least 1.
        pub fn set_pids(&self, count: u32) {
            self.add(move |step| step.pids = Some(count));
        }

        /// Limits the run time, in seconds; at least 1.
        pub fn set_timeout(&self, seconds: u32) {
            self.add(move |step| step.timeout = Some(seconds));
        }
    }
}
