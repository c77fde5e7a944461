//! The kinds of objects that the cluster knows.

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Job,
    Secret,
    Pod,
    Event,
    StorageClass,
    /// A question about one's own rights. It is answered and not kept.
    Review,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Job,
        Self::Secret,
        Self::Pod,
        Self::Event,
        Self::StorageClass,
        Self::Review,
    ];

    /// The one that a path names.
    pub(super) fn of(api_version: &str, plural: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.api_version() == api_version && kind.plural() == plural)
    }

    /// As it stands in paths and roles.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Job => "jobs",
            Self::Secret => "secrets",
            Self::Pod => "pods",
            Self::Event => "events",
            Self::StorageClass => "storageclasses",
            Self::Review => "selfsubjectaccessreviews",
        }
    }

    /// As it stands in objects.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Job => "Job",
            Self::Secret => "Secret",
            Self::Pod => "Pod",
            Self::Event => "Event",
            Self::StorageClass => "StorageClass",
            Self::Review => "SelfSubjectAccessReview",
        }
    }

    /// Group and version.
    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Job => "batch/v1",
            Self::Secret | Self::Pod | Self::Event => "v1",
            Self::StorageClass => "storage.k8s.io/v1",
            Self::Review => "authorization.k8s.io/v1",
        }
    }

    /// The group; empty for the core.
    pub(super) fn group(self) -> &'static str {
        let version = self.api_version();
        version.split_once('/').map_or("", |(group, _)| group)
    }

    /// As messages name resources: `jobs.batch`.
    pub(super) fn qualified_plural(self) -> String {
        qualified(self.plural(), self.group())
    }

    /// As messages name objects: `Job.batch`.
    pub(super) fn qualified_name(self) -> String {
        qualified(self.name(), self.group())
    }

    pub(super) fn is_namespaced(self) -> bool {
        !matches!(self, Self::StorageClass | Self::Review)
    }
}

fn qualified(name: &str, group: &str) -> String {
    match group {
        "" => name.to_owned(),
        _ => format!("{name}.{group}"),
    }
}
