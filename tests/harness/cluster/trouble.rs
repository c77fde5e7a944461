//! What can go wrong in a cluster, when a test wants it.

use super::Cluster;
use super::resource::Kind;
use super::store;

impl Cluster {
    /// From now on a verb is forbidden on a resource, as roles name them: `create`, `pods/log`.
    pub fn forbid(&self, verb: &str, resource: &str) {
        let asked = (verb.to_owned(), resource.to_owned());
        self.shared.lock().forbidden.insert(asked);
    }

    /// It is allowed again.
    pub fn permit(&self, verb: &str, resource: &str) {
        let asked = (verb.to_owned(), resource.to_owned());
        self.shared.lock().forbidden.remove(&asked);
    }

    /// Pods that are made from now on find no node, with this message.
    pub fn unschedulable(&self, message: &str) {
        self.shared.lock().unschedulable = Some(message.to_owned());
    }

    /// The node drives a pod out, with this message.
    ///
    /// # Panics
    /// When there is no such pod.
    pub fn evict(&self, pod: &str, message: &str) {
        self.shared.change(|state| {
            let pod = state
                .store
                .get(Kind::Pod, pod)
                .expect("there is such a pod");
            let uid = store::uid(pod).to_owned();
            state.evictions.insert(uid, message.to_owned());
        });
    }

    /// A pod is gone without a word, as if its node were.
    ///
    /// # Panics
    /// When there is no such pod.
    pub fn remove_pod(&self, pod: &str) {
        let removed = self
            .shared
            .change(|state| state.store.remove(Kind::Pod, pod));
        removed.expect("there is such a pod");
    }

    /// All watches end with an error, as their versions are too old; so do those that begin from such versions.
    pub fn expire_watches(&self) {
        self.shared.change(|state| state.store.expire());
    }

    /// Breaks all watches, and all logs that are being read.
    pub fn cut(&self) {
        self.shared.change(|state| state.cuts += 1);
    }

    /// As long as it is down, whatever is asked is answered with 503. What is being read goes on.
    pub fn down(&self, is_down: bool) {
        self.shared.lock().is_down = is_down;
    }
}
