//! File names for a repository at a commit.
