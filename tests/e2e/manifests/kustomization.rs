//! The files for kustomize.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::documents::{Documents, yaml};
use super::rules::{check, others_are_free, variables};
use super::{SET, deploy, is_yaml};

pub(crate) struct Kustomization {
    itself: Value,
    files: BTreeMap<String, String>,
}

impl Kustomization {
    pub(crate) fn read() -> Self {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(deploy().join("kubernetes")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            files.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
        let itself = files.remove("kustomization.yaml").unwrap();
        let [itself] = yaml(&itself).try_into().unwrap();
        Self { itself, files }
    }

    pub(crate) fn documents(&self) -> Documents {
        let texts = self
            .files
            .iter()
            .filter(|(name, _)| is_yaml(name))
            .map(|(_, text)| text.as_str());
        Documents::read(texts)
    }

    /// What the ConfigMap is made of.
    pub(crate) fn variables(&self) -> BTreeMap<&str, &str> {
        let lines = self.files["executor.env"].lines();
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| line.split_once('=').unwrap())
            .collect()
    }
}

#[test]
fn the_files_for_kustomize() {
    let kustomization = Kustomization::read();
    let all = kustomization.documents();
    check(&all);
    assert_eq!(
        (all.roles.len(), all.budgets.len(), all.accounts.len()),
        (1, 2, 1)
    );
    assert!(!all.policies.is_empty() && !others_are_free(&all.policies));
    let [namespace] = all.namespaces.as_slice() else {
        panic!("there is one namespace");
    };
    let levels = namespace.metadata.labels.as_ref().unwrap();
    let level = |mode: &str| levels[&format!("pod-security.kubernetes.io/{mode}")].as_str();
    assert_eq!(
        (level("enforce"), level("warn")),
        ("baseline", "restricted")
    );
}

#[test]
fn the_kustomization_names_what_is_there() {
    let kustomization = Kustomization::read();
    let all = kustomization.documents();
    let itself = &kustomization.itself;
    let known = [
        "apiVersion",
        "kind",
        "namespace",
        "resources",
        "configMapGenerator",
        "images",
    ];
    let names: BTreeSet<_> = itself
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, BTreeSet::from(known));
    let generator = &itself["configMapGenerator"][0];
    let named = itself["resources"].as_array().unwrap().iter();
    let named = named.chain(generator["envs"].as_array().unwrap());
    let named: BTreeSet<_> = named.map(|it| it.as_str().unwrap()).collect();
    let files: BTreeSet<_> = kustomization.files.keys().map(String::as_str).collect();
    assert_eq!(named, files);
    assert_eq!(
        itself["namespace"].as_str(),
        all.set().metadata.namespace.as_deref()
    );
    let container = &all.pod().containers[0];
    assert_eq!(
        itself["images"][0]["name"].as_str(),
        container.image.as_deref()
    );
    let from = container.env_from.as_ref().unwrap()[0]
        .config_map_ref
        .as_ref();
    assert_eq!(generator["name"].as_str(), from.map(|it| it.name.as_str()));
    let set: BTreeSet<_> = variables(&all).iter().map(|it| it.name.as_str()).collect();
    assert_eq!(set, BTreeSet::from(SET));
    let twice = kustomization
        .variables()
        .into_keys()
        .find(|it| set.contains(it));
    assert_eq!(twice, None);
}
