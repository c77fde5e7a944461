//! A loaded component.

use capstan_core::plugin::Inspection;

/// A component that fits this host, compiled and linked. Instances are made from it for each call.
pub struct Component {
    inspection: Inspection,
}

impl Component {
    /// What it is.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }
}
