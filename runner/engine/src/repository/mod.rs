//! Where a workspace's files come from: local repositories and git URLs.
