//! Plugins in runs: `[[plugin]]` tables in a settings file, and what the plugins then do to `batch run` and `batch exec`.

mod audit;
mod caching;
mod changes;
mod diffs;
mod exec;
mod executor;
mod frozen;
mod loading;
mod official;
mod order;
mod outputs;
mod policies;
mod preparation;
mod secrets;
mod stage;
