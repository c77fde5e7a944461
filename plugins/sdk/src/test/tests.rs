use super::*;
use crate::{Shape, log, scratch};

const DIFF: &str = "\
diff --git a.txt a.txt
index 1..2 100644
--- a.txt
+++ a.txt
@@ -1 +1,2 @@ fn main
 one
+two
@@ -10,2 +11,3 @@
 ten
-eleven
+11
+11.5
diff --git b.bin b.bin
new file mode 100755
index 0..1
GIT binary patch
literal 1
Ic${MZ000310RR91

literal 0
HcmV?d00001

diff --git old.txt new.txt
similarity index 100%
rename from old.txt
rename to new.txt
";

/// Does one of everything.
struct Everything;

impl Diff for Everything {
    const SHAPE: Shape = Shape::Rewrite;

    fn process(job: &crate::Job, changes: &Changes, edits: &Edits) -> Result<Outcome> {
        log::info!(
            "{}: {} files, +{} -{}, {} bytes",
            job.repository(),
            changes.file_count(),
            changes.added(),
            changes.removed(),
            changes.size()
        );
        for file in changes.files() {
            log::debug!(
                "{} {:?} {:?} {:o}",
                file.path(),
                file.status(),
                file.old_path(),
                file.new_mode().unwrap_or(0)
            );
            if file.binary() {
                edits.drop_file(&file)?;
                edits.annotate(&file, None, Severity::Warning, "binary")?;
            }
            for hunk in file.hunks() {
                if hunk.old_start() == 1 {
                    edits.drop_hunk(&hunk)?;
                } else {
                    edits.replace_hunk(&hunk, b" ten\n-eleven\n+11\n")?;
                }
            }
        }
        Ok(Outcome::Done)
    }
}

#[test]
fn a_diff_is_walked_and_its_edits_are_made() {
    let job = Job {
        repository: "github.com/acme/widgets".to_owned(),
        ..Job::default()
    };
    let processed = process::<Everything>(job, DIFF).unwrap();
    assert_eq!(
        String::from_utf8(processed.diff).unwrap(),
        "\
diff --git a.txt a.txt
index 1..2 100644
--- a.txt
+++ a.txt
@@ -10,2 +10,2 @@
 ten
-eleven
+11
diff --git old.txt new.txt
similarity index 100%
rename from old.txt
rename to new.txt
"
    );
    assert_eq!(processed.annotations.len(), 1);
    assert_eq!(processed.annotations[0].path, "b.bin");
    let size = DIFF.len();
    assert_eq!(
        messages(),
        [
            (
                Level::Info,
                format!("github.com/acme/widgets: 3 files, +3 -1, {size} bytes")
            ),
            (Level::Debug, "a.txt Modified None 100644".to_owned()),
            (Level::Debug, "b.bin Added None 100755".to_owned()),
            (
                Level::Debug,
                "new.txt Renamed Some(\"old.txt\") 0".to_owned()
            ),
        ]
    );
}

#[test]
fn amendments_change_a_step() {
    let amendment = Amendment::new();
    amendment.set_image("alpine:3");
    amendment.set_environment("A", "1");
    amendment.remove_environment("B");
    amendment.add_mount(&Mount {
        source: "/x".to_owned(),
        target: "/y".to_owned(),
        read_only: true,
    });
    amendment.remove_mount("/z");
    amendment.set_network("none");
    amendment.set_memory(64);
    let mount = |target: &str| Mount {
        source: "/a".to_owned(),
        target: target.to_owned(),
        read_only: false,
    };
    let step = Step {
        environment: [("B".to_owned(), Some("2".to_owned()))].into(),
        mounts: vec![mount("/y"), mount("/z")],
        ..Step::default()
    };
    let step = amended(&amendment, step);
    assert_eq!(step.image, "alpine:3");
    assert_eq!(
        step.environment,
        [("A".to_owned(), Some("1".to_owned()))].into()
    );
    assert_eq!(step.mounts.len(), 1);
    assert!(step.mounts[0].read_only);
    assert_eq!(step.network.as_deref(), Some("none"));
    assert_eq!(step.memory, Some(64));
}

#[test]
fn scratch_keeps_values_within_its_bounds() {
    scratch::set("a", b"1").unwrap();
    scratch::set("b", b"2").unwrap();
    scratch::delete("a");
    assert_eq!(scratch::keys(), ["b"]);
    assert_eq!(scratch::get("b").unwrap(), b"2");
    assert!(scratch::set("", b"").unwrap_err().message.contains("empty"));
    assert!(scratch::set("b", &vec![0; 2_000_000]).is_err());
    assert_eq!(scratch::get("b").unwrap(), b"2");
}

/// Turns lines around.
struct Around;

impl crate::Transform for Around {
    fn push(&mut self, chunk: &[u8], into: &mut Vec<u8>) -> Result<()> {
        for line in chunk.split_inclusive(|&b| b == b'\n') {
            into.extend(line.iter().rev());
        }
        Ok(())
    }
}

impl Output for Around {
    fn filter(_: &crate::Step, channel: Channel) -> Result<crate::Filter> {
        Ok(match channel {
            Channel::Stdout => crate::Filter::lines(Self),
            Channel::Stderr => crate::Filter::none(),
        })
    }
}

#[test]
fn filters_get_their_chunks_as_they_want_them() {
    let out = filter::<Around>(Step::default(), Channel::Stdout, ["ab", "c\nd", "e"]).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "\ncbaed");
    let out = filter::<Around>(Step::default(), Channel::Stderr, ["ab", "c\n"]).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "abc\n");
}
