//! The diffstat: one line a file, with a bar, and a summary.

use std::fmt::Write as _;

use super::{Diff, Kind, Section, display_name};

/// Columns a name keeps, however narrow the terminal.
const MIN_NAME: usize = 10;
/// Columns a bar keeps.
const MIN_BAR: usize = 6;

/// Renders `diff` like `git diff --stat`, in lines of at most `width` columns where that is possible: long names
/// lose their beginning, and bars are scaled to the file with most changes.
///
/// Names are safe to print: control characters are quoted. Empty for an empty diff.
pub fn render(diff: &Diff<'_>, width: usize) -> String {
    if diff.sections.is_empty() {
        return String::new();
    }
    let rows: Vec<Row> = diff.sections.iter().map(Row::new).collect();
    let most_changes = rows.iter().map(Row::changes).max().unwrap_or(0);
    let count_width = rows.iter().map(|row| row.count().len()).max().unwrap_or(0);
    let widest_name = rows.iter().map(|row| row.name.chars().count()).max();
    let widest_name = widest_name.unwrap_or(0);

    // ` <name> | <count> <bar>`
    let available = width.saturating_sub(count_width + 5);
    let bar_wanted = usize::try_from(most_changes).unwrap_or(usize::MAX);
    let bar_kept = bar_wanted.min((available * 3 / 8).max(MIN_BAR));
    let name_width = widest_name.min(available.saturating_sub(bar_kept).max(MIN_NAME));
    let bar_width = bar_wanted.min(available.saturating_sub(name_width).max(bar_kept));

    let mut text = String::new();
    for row in &rows {
        let line = format!(
            " {:name_width$} | {:>count_width$} {}",
            shorten(&row.name, name_width),
            row.count(),
            row.bar(most_changes, bar_width),
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&summary(diff));
    text
}

/// ` 3 files changed, 12 insertions(+), 1 deletion(-)`, without a line break.
fn summary(diff: &Diff<'_>) -> String {
    let count = |number: u64, one: &str, many: &str| {
        format!("{number} {}", if number == 1 { one } else { many })
    };
    let added = diff.sections.iter().map(|section| section.added).sum();
    let removed = diff.sections.iter().map(|section| section.removed).sum();
    let files = diff.sections.len() as u64;
    let mut text = format!(" {} changed", count(files, "file", "files"));
    if added > 0 || removed == 0 {
        let insertions = count(added, "insertion(+)", "insertions(+)");
        write!(text, ", {insertions}").expect("writing to a string cannot fail");
    }
    if removed > 0 || added == 0 {
        let deletions = count(removed, "deletion(-)", "deletions(-)");
        write!(text, ", {deletions}").expect("writing to a string cannot fail");
    }
    text
}

struct Row {
    name: String,
    added: u64,
    removed: u64,
    binary: bool,
}

impl Row {
    fn new(section: &Section<'_>) -> Self {
        let name = match section.kind {
            Kind::Renamed | Kind::Copied => format!(
                "{} => {}",
                display_name(&section.old_name),
                display_name(&section.new_name)
            ),
            _ => display_name(section.name()).into_owned(),
        };
        Self {
            name,
            added: section.added,
            removed: section.removed,
            binary: section.binary,
        }
    }

    fn changes(&self) -> u64 {
        self.added + self.removed
    }

    fn count(&self) -> String {
        if self.binary {
            "Bin".to_owned()
        } else {
            self.changes().to_string()
        }
    }

    fn bar(&self, most_changes: u64, width: usize) -> String {
        let both = self.added > 0 && self.removed > 0;
        let total = scale(self.changes(), most_changes, width).max(if both { 2 } else { 0 });
        let mut plus = scale(self.added, most_changes, width);
        let mut minus = scale(self.removed, most_changes, width);
        // The larger part gives way, so that both stay visible.
        if plus > minus {
            plus = total.saturating_sub(minus);
        } else {
            minus = total.saturating_sub(plus);
        }
        "+".repeat(plus) + &"-".repeat(minus)
    }
}

/// `changes` in columns of a bar that is `width` wide for `most_changes`: at least one unless there are none.
fn scale(changes: u64, most_changes: u64, width: usize) -> usize {
    let width = width as u64;
    if changes == 0 || most_changes <= width {
        return usize::try_from(changes).unwrap_or(usize::MAX);
    }
    let columns =
        1 + u128::from(changes) * u128::from(width.saturating_sub(1)) / u128::from(most_changes);
    usize::try_from(columns).unwrap_or(usize::MAX)
}

/// The end of `name`, marked as such, where it is longer than `width` characters.
fn shorten(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let tail: String = name
        .chars()
        .skip(length - width.saturating_sub(3))
        .collect();
    // Better to begin with a whole directory, where one begins in sight.
    let tail = tail.find('/').map_or(tail.as_str(), |slash| &tail[slash..]);
    format!("...{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_section(name: &str, removed: usize, added: usize) -> String {
        let mut text = format!(
            "diff --git {name} {name}\nindex 1..2 100644\n--- {name}\n+++ {name}\n\
             @@ -1,{removed} +1,{added} @@\n"
        );
        text.push_str(&"-x\n".repeat(removed));
        text.push_str(&"+y\n".repeat(added));
        text
    }

    fn stat(diff: &str, width: usize) -> String {
        render(&Diff::parse(diff.as_bytes()).unwrap(), width)
    }

    #[test]
    fn looks_like_git() {
        let diff = text_section("src/main.rs", 1, 3)
            + &text_section("README.md", 0, 1)
            + "diff --git logo.png logo.png\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZ\n\n"
            + "diff --git old name new\nsimilarity index 100%\nrename from old name\nrename to new\n"
            + "diff --git run.sh run.sh\nold mode 100644\nnew mode 100755\n";
        insta::assert_snapshot!(stat(&diff, 80), @r"
         src/main.rs     |   4 +++-
         README.md       |   1 +
         logo.png        | Bin
         old name => new |   0
         run.sh          |   0
         5 files changed, 4 insertions(+), 1 deletion(-)
        ");
    }

    #[test]
    fn bars_scale_and_names_shorten() {
        let diff = text_section(&format!("{}deep/file.rs", "directory/".repeat(6)), 300, 900)
            + &text_section("small.rs", 1, 1)
            + &text_section("gone.rs", 400, 0);
        insta::assert_snapshot!(stat(&diff, 50), @r"
         .../directory/deep/file.rs | 1200 +++++++++++----
         small.rs                   |    2 +-
         gone.rs                    |  400 -----
         3 files changed, 901 insertions(+), 701 deletions(-)
        ");
        let text = stat(&diff, 50);
        let mut rows = text.lines().take(3);
        assert!(rows.all(|line| line.chars().count() <= 50));
    }

    #[test]
    fn hostile_names_are_quoted() {
        let diff = "diff --git \"a\\033[31m\" \"a\\033[31m\"\nnew file mode 100644\nindex 0..1\n";
        insta::assert_snapshot!(stat(diff, 80), @r#"
         "a\033[31m" | 0
         1 file changed, 0 insertions(+), 0 deletions(-)
        "#);
    }

    #[test]
    fn nothing_changed_is_nothing_said() {
        assert_eq!(stat("", 80), "");
    }

    #[test]
    fn no_width_is_too_small() {
        let diff = text_section("some/where/long/enough.rs", 3, 3000);
        for width in 0..60 {
            assert!(
                stat(&diff, width).contains("1 file changed"),
                "width {width}"
            );
        }
    }
}
