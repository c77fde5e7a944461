//! Diff plugin: drops generated, vendored and ignored files from what a step changed.

mod selection;

use capstan_plugin::{Changes, Diff, Edits, Job, Outcome, Result, Shape, log};

use crate::selection::{Config, Selection};

struct DiffFilter;

impl Diff for DiffFilter {
    const SHAPE: Shape = Shape::RemoveOnly;

    fn process(_job: &Job, changes: &Changes, edits: &Edits) -> Result<Outcome> {
        let config: Config = capstan_plugin::config()?;
        let selection = Selection::new(&config)?;
        for file in changes.files() {
            let path = file.path();
            if let Some(reason) = selection.drops(&path) {
                log::info!("dropped {path}: {reason}");
                edits.drop_file(&file)?;
            }
        }
        Ok(Outcome::Done)
    }
}

capstan_plugin::export!(DiffFilter: diff);

#[cfg(test)]
mod tests {
    use capstan_plugin::log::Level;
    use capstan_plugin::test;

    use super::*;

    #[test]
    fn files_that_are_dropped_are_named_in_the_log() {
        let section = |path: &str| {
            format!(
                "diff --git {path} {path}\nindex 1..2 100644\n--- {path}\n+++ {path}\n@@ -1 +1 @@\n-a\n+b\n"
            )
        };
        let diff = section("src/main.rs") + &section("dist/app.min.js") + &section("x.txt");
        test::config(r#"{"drop": ["*.txt"]}"#);
        let processed = test::process::<DiffFilter>(test::Job::default(), diff).unwrap();
        assert_eq!(processed.outcome, Outcome::Done);
        assert_eq!(
            String::from_utf8(processed.diff).unwrap(),
            section("src/main.rs")
        );
        assert_eq!(
            test::messages(),
            [
                (
                    Level::Info,
                    "dropped dist/app.min.js: generated (*.min.{js,css})".to_owned()
                ),
                (Level::Info, "dropped x.txt: drop (*.txt)".to_owned()),
            ]
        );
    }
}
