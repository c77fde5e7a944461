//! `capstan:plugin/step`: collecting changes to a step. They are checked when a policy answers with them.

use wasmtime::component::Resource;

use crate::amendment::Amendment;
use crate::bindings::host::step::{HostAmendment, Mount};
use crate::job;
use crate::state::State;

/// Bytes that a change counts beside its texts.
const CHANGE: usize = 64;

/// Changes as a guest wants them, in order.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
#[derive(Debug, Default)]
pub struct AmendmentHandle(pub(crate) Vec<Amendment>);

impl State {
    fn amend(
        &mut self,
        handle: &Resource<AmendmentHandle>,
        texts: usize,
        change: Amendment,
    ) -> wasmtime::Result<()> {
        self.keep(CHANGE + texts)?;
        self.table.get_mut(handle)?.0.push(change);
        Ok(())
    }
}

impl HostAmendment for State {
    fn new(&mut self) -> wasmtime::Result<Resource<AmendmentHandle>> {
        self.hand_out(AmendmentHandle::default())
    }

    fn set_image(
        &mut self,
        this: Resource<AmendmentHandle>,
        image: String,
    ) -> wasmtime::Result<()> {
        self.amend(&this, image.len(), Amendment::Image(image))
    }

    fn set_environment(
        &mut self,
        this: Resource<AmendmentHandle>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        let texts = name.len() + value.len();
        self.amend(&this, texts, Amendment::SetEnvironment(name, value))
    }

    fn remove_environment(
        &mut self,
        this: Resource<AmendmentHandle>,
        name: String,
    ) -> wasmtime::Result<()> {
        self.amend(&this, name.len(), Amendment::RemoveEnvironment(name))
    }

    fn add_mount(&mut self, this: Resource<AmendmentHandle>, mount: Mount) -> wasmtime::Result<()> {
        let texts = mount.source.len() + mount.target.len();
        let mount = job::Mount {
            source: mount.source,
            target: mount.target,
            read_only: mount.read_only,
        };
        self.amend(&this, texts, Amendment::AddMount(mount))
    }

    fn remove_mount(
        &mut self,
        this: Resource<AmendmentHandle>,
        target: String,
    ) -> wasmtime::Result<()> {
        self.amend(&this, target.len(), Amendment::RemoveMount(target))
    }

    fn set_network(
        &mut self,
        this: Resource<AmendmentHandle>,
        network: String,
    ) -> wasmtime::Result<()> {
        self.amend(&this, network.len(), Amendment::Network(network))
    }

    fn set_memory(
        &mut self,
        this: Resource<AmendmentHandle>,
        mebibytes: u32,
    ) -> wasmtime::Result<()> {
        self.amend(&this, 0, Amendment::Memory(mebibytes))
    }

    fn set_cpus(
        &mut self,
        this: Resource<AmendmentHandle>,
        thousandths: u32,
    ) -> wasmtime::Result<()> {
        self.amend(&this, 0, Amendment::Cpus(thousandths))
    }

    fn set_pids(&mut self, this: Resource<AmendmentHandle>, count: u32) -> wasmtime::Result<()> {
        self.amend(&this, 0, Amendment::Pids(count))
    }

    fn set_timeout(
        &mut self,
        this: Resource<AmendmentHandle>,
        seconds: u32,
    ) -> wasmtime::Result<()> {
        self.amend(&this, 0, Amendment::Timeout(seconds))
    }

    fn drop(&mut self, this: Resource<AmendmentHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
