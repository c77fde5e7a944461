//! From repositories to workspaces.
