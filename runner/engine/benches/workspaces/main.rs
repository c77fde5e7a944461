//! What a workspace of a large repository costs, beside git doing the same: ready to run, its diff, its disk.
//!
//! Run by `make bench`; tests/bench/README.md tells of the figures.

mod git;
#[path = "../../../../tests/bench/measure.rs"]
mod measure;
mod monorepo;
#[path = "../../../../tests/bench/rival.rs"]
mod rival;

use std::path::Path;
use std::time::{Duration, Instant};

use capstan_engine::disk_cache::DiskCache;
use capstan_engine::git::Git;
use capstan_engine::repository::{Origin, RemoteCache, Source, open};
use capstan_engine::workspace::{
    Checkouts, DIFF_LIMIT, Layout, Place, Tidied, VisibleGit, Workspace, choose,
};
use measure::{goal, median, row, shown};
use rival::compared;

/// How often a thing is done; its median counts.
const ROUNDS: usize = 5;

/// Workspaces whose disk is measured.
const MANY: usize = 20;

const LAYOUT: Layout<'_> = Layout {
    only: "",
    patterns: &[],
    visible_git: VisibleGit::Borrowing,
    by_runner: true,
};

/// Everything that a workspace is made of.
struct Bench {
    git: Git,
    origin: Origin,
    checkouts: Checkouts,
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let directory = directory.path();
    let mirror = monorepo::make(directory);
    let git = Git::check(std::env::vars_os()).await.expect("git is there");
    let cache = DiskCache::new(&directory.join("cache"), u64::MAX);
    let source = Source::Local(mirror.clone());
    let origin = open(&git, &RemoteCache::new(&cache), &source, None, |_| {}).await;
    let place = Place {
        cache: cache.directory(),
        workspaces: directory,
        engine: None,
    };
    let chosen = choose(None, place).expect("there is a way");
    let bench = Bench {
        git,
        origin: origin.expect("the repository can be opened"),
        checkouts: Checkouts::new(&chosen, &cache),
    };
    bench.ready(directory, &mirror, chosen.method.name()).await;
    bench.diff(directory, &mirror).await;
    bench.disk(directory, &mirror).await;
}

impl Bench {
    async fn make(&self, home: &Path) -> Workspace {
        let home = home.to_path_buf();
        let made = Workspace::make(&self.git, home, &self.origin, LAYOUT, &self.checkouts).await;
        let mut workspace = made.expect("a workspace can be made");
        let laid_out = workspace.check_out(&self.origin, LAYOUT).await;
        laid_out.expect("the commit can be laid out");
        workspace
    }

    async fn ready(&self, directory: &Path, mirror: &Path, method: &str) {
        let begun = Instant::now();
        remove(self.make(&directory.join("first")).await).await;
        let first = begun.elapsed();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let begun = Instant::now();
            let workspace = self.make(&directory.join(format!("w{round}"))).await;
            ours.push(begun.elapsed());
            remove(workspace).await;
            let clone = directory.join(format!("c{round}"));
            theirs.push(timed(|| git::clone_shared(mirror, &clone)));
        }
        let files = monorepo::FILES;
        row(
            &format!("the first workspace of a repository of {files} files ({method})"),
            &shown(first),
            "",
        );
        compared(
            "every other workspace of it, ready to run",
            median(ours),
            &format!("`git clone --shared` of a repository of {files} files"),
            median(theirs),
            0.05,
        );
    }

    async fn diff(&self, directory: &Path, mirror: &Path) {
        let mut workspace = self.make(&directory.join("diff")).await;
        let clone = directory.join("diff-clone");
        git::clone_shared(mirror, &clone);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            for tree in [workspace.root(), &clone] {
                monorepo::change_ten_files(tree, round);
            }
            let begun = Instant::now();
            let diff = workspace.diff(DIFF_LIMIT).await.expect("there is a diff");
            ours.push(begun.elapsed());
            let begun = Instant::now();
            let expected = git::add_and_diff(&clone);
            theirs.push(begun.elapsed());
            assert!(diff == expected, "the diff is git's");
        }
        remove(workspace).await;
        std::fs::remove_dir_all(clone).expect("a clone can be removed");
        compared(
            "the diff of a workspace after the same",
            median(ours),
            "`git add --all && git diff --cached` after ten changed files in a clone of it",
            median(theirs),
            0.2,
        );
    }

    async fn disk(&self, directory: &Path, mirror: &Path) {
        const MIB: f64 = (1 << 20) as f64;
        let clones = directory.join("clones");
        std::fs::create_dir(&clones).expect("a directory can be made");
        git::clone_shared(mirror, &clones.join("one"));
        let theirs = MANY as f64 * git::disk(&clones);
        let mut workspaces = Vec::new();
        for number in 0..MANY {
            let workspace = self.make(&directory.join(format!("many-{number}"))).await;
            monorepo::change_ten_files(workspace.root(), number);
            workspaces.push(workspace);
        }
        let homes = (0..MANY).map(|number| git::disk(&directory.join(format!("many-{number}"))));
        let ours = homes.sum::<f64>();
        let shared = git::disk(&directory.join("cache"));
        for workspace in workspaces {
            remove(workspace).await;
        }
        row(
            &format!("disk of {MANY} shared clones"),
            &format!("{:.0} MiB", theirs / MIB),
            "",
        );
        let ratio = ours / theirs;
        row(
            &format!("disk of {MANY} workspaces, ten files changed in each"),
            &format!("{:.1} MiB, {ratio:.4} of the above", ours / MIB),
            &goal("at most 0.05 of the above", ratio <= 0.05),
        );
        row(
            "disk of what they share, once",
            &format!("{:.0} MiB", shared / MIB),
            "",
        );
    }
}

async fn remove(mut workspace: Workspace) {
    let removed = workspace
        .remove()
        .await
        .expect("a workspace can be removed");
    assert_eq!(removed, Tidied::Done);
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
