//! The rival: wasmtime by itself. It makes an instance and calls it, with what the plugin asks for answered by the shortest functions
//! that there are, and nothing of what a host does besides: no limits, no clock, no log, no names for failures.

use std::time::{Duration, Instant};

use wasmtime::component::{Component, Linker, Resource, ResourceTable, ResourceType};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use self::bindings::capstan::plugin::changes::{Diff, File, Hunk};
use self::bindings::capstan::plugin::job::Job;
use self::bindings::capstan::plugin::step::{Amendment, Step};
use self::bindings::exports::capstan::plugin::policy::Decision;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "policy-plugin",
        exports: { default: async },
    });
}

/// The image of the step that is asked about.
pub(crate) const IMAGE: &str = "docker.io/library/alpine:3";

/// A component that is ready to be instantiated.
pub(crate) struct Bare {
    engine: Engine,
    plugin: bindings::PolicyPluginPre<Data>,
}

struct Data {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Defines a resource of one of the contract's interfaces as what `T` stands for.
fn resource<T: 'static>(
    linker: &mut Linker<Data>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    let interface = format!("capstan:plugin/{interface}@0.1.0");
    let kind = ResourceType::host::<T>();
    linker
        .instance(&interface)?
        .resource(name, kind, |_, _| Ok(()))
}

impl Bare {
    /// Compiles and links it.
    pub(crate) fn new(bytes: &[u8], config: &'static str) -> Self {
        Self::linked(bytes, config).unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn linked(bytes: &[u8], config: &'static str) -> wasmtime::Result<Self> {
        let engine = Engine::new(&Config::new())?;
        let component = Component::from_binary(&engine, bytes)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        linker
            .instance("capstan:plugin/config@0.1.0")?
            .func_wrap("json", move |_, (): ()| Ok((config.to_owned(),)))?;
        // What a call may be handed has to be of the types that the bindings know, whether it is called or not.
        resource::<Amendment>(&mut linker, "step", "amendment")?;
        resource::<Step>(&mut linker, "step", "step")?;
        resource::<Step>(&mut linker, "job", "step")?;
        resource::<Job>(&mut linker, "job", "job")?;
        resource::<Hunk>(&mut linker, "changes", "hunk")?;
        resource::<File>(&mut linker, "changes", "file")?;
        resource::<Diff>(&mut linker, "changes", "diff")?;
        linker
            .instance("capstan:plugin/step@0.1.0")?
            .func_wrap("[method]step.image", |_, (_,): (Resource<Step>,)| {
                Ok((IMAGE.to_owned(),))
            })?;
        linker.define_unknown_imports_as_traps(&component)?;
        let plugin = bindings::PolicyPluginPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, plugin })
    }

    /// How long one `policy.check-step` takes.
    pub(crate) async fn check_step(&self) -> Duration {
        let start = Instant::now();
        let decision = self.called().await;
        let time = start.elapsed();
        let decision = decision.unwrap_or_else(|error| panic!("{error:#}"));
        assert!(matches!(decision, Decision::Keep), "it keeps the step");
        time
    }

    async fn called(&self) -> wasmtime::Result<Decision> {
        let data = Data {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, data);
        let plugin = self.plugin.instantiate_async(&mut store).await?;
        let policy = plugin.capstan_plugin_policy();
        let answer =
            policy.call_check_step(&mut store, Resource::new_borrow(1), Resource::new_borrow(2));
        answer
            .await?
            .map_err(|error| wasmtime::Error::msg(error.message))
    }
}
