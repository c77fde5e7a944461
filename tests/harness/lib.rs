//! The hermetic world in which the end-to-end tests run the capstan binary.
//!
//! A [`World`] is a temporary directory with a home of its own, in which nothing of the machine's or the
//! user's configuration is seen. It makes [`Repository`]s whose commit ids never change, and
//! [`Capstan`] commands with a cleared environment. What a command did is an [`Output`]; its
//! texts come normalised, so that they can be compared with inline snapshots. [`Engine`] looks at what
//! was left behind in the container engine. A [`Sourcegraph`] is what executors take jobs from, a [`Wire`]
//! the way to it, which can be cut; a [`Cluster`] is where pods run. [`component()`] makes components for
//! steps in WebAssembly, [`guest()`] plugins; [`official_plugin`] and its neighbours find those that are there.
//!
//! ```no_run
//! use capstan_tests::{Engine, World};
//!
//! Engine::require();
//! let world = World::new();
//! let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
//! let spec = world.write("spec.yaml", "name: hello\n");
//! world
//!     .capstan(["batch", "run", "-f"])
//!     .arg(spec)
//!     .arg(widgets.path())
//!     .run()
//!     .assert_code(0);
//! ```

mod binary;
mod cluster;
mod command;
mod component;
mod creations;
mod engine;
mod guest;
mod image;
mod normalise;
mod output;
mod plugin;
mod pod;
mod privilege;
mod registry;
mod repository;
mod running;
mod sourcegraph;
mod wire;
mod world;

pub use binary::capstan as binary;
pub use cluster::Cluster;
pub use command::Capstan;
pub use component::component;
pub use creations::Creations;
pub use engine::Engine;
pub use guest::guest;
pub use image::image;
pub use output::Output;
pub use plugin::{frozen_plugin, official_plugin, probe_plugin};
pub use pod::Pod;
pub use privilege::as_root;
pub use registry::{Answer, Registry};
pub use repository::Repository;
pub use running::{Running, Signal};
pub use sourcegraph::{Entry, JobState, SECRET, Sourcegraph, Upload, native_job};
pub use wire::{Mute, Page, Wire};
pub use world::World;
