//! Names for files that belong to a repository at a commit.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The slug of a workspace: the repository's name with `/` replaced, a digest of the path unless
/// it is empty, and the commit (facts/batch-spec.md 3.9).
///
/// It names files and directories but is not a safe path by itself if `repository` can be hostile: it
/// contains no `/`, but may for example be `..-rev`.
pub fn slug(repository: &str, rev: &str, path: &str) -> String {
    let repository = repository.replace('/', "-");
    if path.is_empty() {
        return format!("{repository}-{rev}");
    }
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(path.as_bytes()));
    format!("{repository}-{digest}-{rev}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a/b", "c", "", "a-b-c")]
    #[case(
        "github.com/acme/widgets",
        "d34db33f",
        "",
        "github.com-acme-widgets-d34db33f"
    )]
    #[case(
        "github.com/acme/two",
        "d34db33f",
        "sub/dir",
        "github.com-acme-two-4_XmO5tpmD-_VoPFeSIIJzTVFqtBxJ6jheMmdSYedOE-d34db33f"
    )]
    #[case(
        "a/b",
        "c",
        "sub/dir.gitignore",
        "a-b-_eTG_77Bcvze8RMFHEjBQwF6XosOhHqyJdxX6KfXTXc-c"
    )]
    fn vectors(
        #[case] repository: &str,
        #[case] rev: &str,
        #[case] path: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(slug(repository, rev, path), expected);
    }
}
