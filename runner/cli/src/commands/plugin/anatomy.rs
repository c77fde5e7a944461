//! What can be read off the bytes of a component without compiling it; also of one that this host cannot run.

use std::collections::{BTreeMap, BTreeSet};

use capstan_core::plugin::Hook;
use wasmparser::{Encoding, KnownCustom, Parser, Payload, ProducersSectionReader};

/// The outside of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Anatomy {
    /// What it is: a component, a core module, or neither.
    pub(super) kind: Kind,
    /// What it imports, as it names it. Sorted.
    pub(super) imports: BTreeSet<String>,
    /// What it exports, as it names it. Sorted.
    pub(super) exports: BTreeSet<String>,
    /// The tools that made it and its parts: `rustc 1.95.0`. Sorted, by what they did: `language`, `processed-by`.
    pub(super) producers: BTreeMap<String, BTreeSet<String>>,
    /// Where reading it stopped, if before its end.
    pub(super) broken: Option<String>,
}

/// What some bytes are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not WebAssembly.
    #[default]
    Other,
    /// A core module.
    Module,
    /// A component.
    Component,
}

impl Anatomy {
    /// Reads as much as there is.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut anatomy = Self::default();
        if let Err(error) = anatomy.walk(bytes) {
            anatomy.broken = Some(error.to_string());
        }
        anatomy
    }

    /// The hooks of the contract that it exports.
    pub(super) fn hooks(&self) -> BTreeSet<Hook> {
        let names = self.exports.iter().filter_map(|name| contract(name));
        names
            .filter_map(|(name, _)| Hook::from_name(name))
            .collect()
    }

    /// The version of the contract that it was built against, if it names one.
    pub(super) fn api(&self) -> Option<String> {
        let names = self.exports.iter().chain(&self.imports);
        let mut versions = names.filter_map(|name| contract(name)?.1);
        versions.next().map(str::to_owned)
    }

    /// Whether it can be a step.
    pub(super) fn is_command(&self) -> bool {
        let mut names = self.exports.iter();
        names.any(|name| name == "wasi:cli/run" || name.starts_with("wasi:cli/run@"))
    }

    fn walk(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        // How many modules and components the payload lies in; the outermost counts as one.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding, .. } => {
                    if depth == 0 {
                        self.kind = match encoding {
                            Encoding::Component => Kind::Component,
                            Encoding::Module => Kind::Module,
                        };
                    }
                    depth += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(reader) if depth == 1 => {
                    for import in reader {
                        self.imports.insert(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(reader) if depth == 1 => {
                    for export in reader {
                        self.exports.insert(export?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Producers(reader) = section.as_known() {
                        self.produced(reader)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn produced(&mut self, reader: ProducersSectionReader<'_>) -> wasmparser::Result<()> {
        for field in reader {
            let field = field?;
            let tools = self.producers.entry(field.name.to_owned()).or_default();
            for tool in field.values {
                let tool = tool?;
                // What follows the number says how it was built.
                let version = tool.version.split(" (").next().unwrap_or_default();
                tools.insert(format!("{} {version}", tool.name).trim().to_owned());
            }
        }
        Ok(())
    }
}

/// Name and version of an interface of the contract: of `capstan:plugin/policy@0.1.0`, `policy` and `0.1.0`.
fn contract(name: &str) -> Option<(&str, Option<&str>)> {
    let interface = name.strip_prefix("capstan:plugin/")?;
    Some(match interface.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (interface, None),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_component_is_named() {
        let module = b"\0asm\x01\0\0\0";
        let component = b"\0asm\x0d\0\x01\0";
        for (bytes, kind, broken) in [
            (&module[..], Kind::Module, false),
            (component, Kind::Component, false),
            (b"hello", Kind::Other, true),
            (b"", Kind::Other, true),
            (b"\0asm\x0d\0\x01\0\x0a\xff", Kind::Component, true),
        ] {
            let anatomy = Anatomy::read(bytes);
            assert_eq!(anatomy.kind, kind, "{bytes:?}");
            assert_eq!(anatomy.broken.is_some(), broken, "{anatomy:?}");
        }
    }

    /// A component with an import, an export, a module and what made it.
    fn whole() -> Vec<u8> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        fs_err::read(format!("{root}/tests/frozen/0.1.0/every-hook.wasm")).unwrap()
    }

    #[test]
    fn what_is_cut_short_is_broken() {
        let whole = whole();
        assert_eq!(Anatomy::read(&whole).hooks().len(), 4);
        for length in (0..whole.len()).step_by(whole.len() / 97) {
            let anatomy = Anatomy::read(&whole[..length]);
            // Nothing but the end of a section ends a component, so it may end after any of them.
            assert!(
                anatomy.broken.is_some() || anatomy.hooks().len() < 4,
                "{length}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, at: proptest::sample::Index, byte: u8) {
            let _ = Anatomy::read(&bytes);
            let _ = Anatomy::read(&[b"\0asm\x0d\0\x01\0", bytes.as_slice()].concat());
            let mut whole = whole();
            let at = at.index(whole.len());
            whole[at] = byte;
            let anatomy = Anatomy::read(&whole);
            let names = anatomy.imports.iter().chain(&anatomy.exports);
            prop_assert!(names.map(String::len).sum::<usize>() <= whole.len());
        }
    }
}
