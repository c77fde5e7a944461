//! `capstan executor` whose jobs run as pods. On a stand-in cluster over the engine of the tests; `make test-kubernetes` runs the same on a real one.

mod deployed;
mod jobs;
mod namespace;
mod restarts;
mod runs;
mod site;
mod trouble;
