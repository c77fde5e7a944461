//! From a workspace's last result to changeset specs.
