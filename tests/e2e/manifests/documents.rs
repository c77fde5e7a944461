//! What is sent to Kubernetes, read as Kubernetes reads it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PodSpec, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema;

/// The documents of a file. What is nothing but comments is left out.
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
    documents
        .into_iter()
        .filter(|value| !value.is_null())
        .collect()
}

/// Everything of one installation, by kind.
#[derive(Default)]
pub(crate) struct Documents {
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) accounts: Vec<ServiceAccount>,
    pub(crate) roles: Vec<Role>,
    pub(crate) bindings: Vec<RoleBinding>,
    pub(crate) config_maps: Vec<ConfigMap>,
    pub(crate) services: Vec<Service>,
    pub(crate) sets: Vec<StatefulSet>,
    pub(crate) policies: Vec<NetworkPolicy>,
    pub(crate) budgets: Vec<PodDisruptionBudget>,
    /// Kind and metadata of all of them.
    pub(crate) metadata: Vec<(String, ObjectMeta)>,
}

impl Documents {
    /// Reads all documents of all texts.
    pub(crate) fn read<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut all = Self::default();
        for document in texts.into_iter().flat_map(yaml) {
            all.add(document);
        }
        all
    }

    fn add(&mut self, document: Value) {
        let metadata: ObjectMeta = serde_json::from_value(document["metadata"].clone()).unwrap();
        let text = |name: &str| document[name].as_str().unwrap().to_owned();
        self.metadata.push((text("kind"), metadata));
        match (text("apiVersion").as_str(), text("kind").as_str()) {
            ("v1", "Namespace") => self.namespaces.push(typed(document)),
            ("v1", "ServiceAccount") => self.accounts.push(typed(document)),
            ("rbac.authorization.k8s.io/v1", "Role") => self.roles.push(typed(document)),
            ("rbac.authorization.k8s.io/v1", "RoleBinding") => self.bindings.push(typed(document)),
            ("v1", "ConfigMap") => self.config_maps.push(typed(document)),
            ("v1", "Service") => self.services.push(typed(document)),
            ("apps/v1", "StatefulSet") => self.sets.push(typed(document)),
            ("networking.k8s.io/v1", "NetworkPolicy") => self.policies.push(typed(document)),
            ("policy/v1", "PodDisruptionBudget") => self.budgets.push(typed(document)),
            (version, kind) => panic!("{kind} of {version} is not expected here"),
        }
    }

    /// The one set of executors.
    pub(crate) fn set(&self) -> &StatefulSet {
        let [set] = self.sets.as_slice() else {
            panic!("there are {} stateful sets", self.sets.len());
        };
        set
    }

    pub(crate) fn pod(&self) -> &PodSpec {
        let template = &self.set().spec.template;
        template.spec.as_ref().unwrap()
    }
}

/// The document as its type, if nothing in it is unknown or against the schema.
#[track_caller]
fn typed<T: DeserializeOwned + JsonSchema>(document: Value) -> T {
    let wrong = problems::<T>(&document);
    assert_eq!(wrong, [""; 0], "in {document:#}");
    serde_json::from_value(document).unwrap()
}

/// What is wrong with a document of this type.
pub(crate) fn problems<T: DeserializeOwned + JsonSchema>(document: &Value) -> Vec<String> {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let root = generator.into_root_schema_for::<T>().to_value();
    let mut wrong = schema::violations(&root, document);
    let read: Result<T, _> = serde_ignored::deserialize(document, |path| {
        // Without the marks of what is optional.
        wrong.push(format!("{path}: is unknown").replace(".?", ""));
    });
    wrong.extend(read.err().map(|problem| problem.to_string()));
    wrong
}
