//! What people see: the live display of a terminal, plain lines elsewhere.

use std::time::Duration;

use capstan_tests::{Engine, Running, World};
use regex_lite::Regex;
use serde_json::json;

use crate::specs;

/// What a terminal shows after these bytes; what moves on its own is replaced.
fn screen(bytes: &[u8]) -> String {
    let mut terminal = vt100::Parser::new(30, 100, 0);
    terminal.process(bytes);
    let rows = terminal.screen().rows(0, 100);
    let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
    let text = rows.join("\n").trim_end().to_owned();
    [
        ("[⠁-⣿]", "⠋"),
        (r"\b\d+(\.\d+)?s\b", "<time>"),
        (r"/\S*/logs/\S*\n?\S*\.log", "<log>"),
    ]
    .iter()
    .fold(text, |text, (pattern, replacement)| {
        let pattern = Regex::new(pattern).expect("it is valid");
        pattern.replace_all(&text, *replacement).into_owned()
    })
}

/// Waits until the screen shows all of these, and returns it.
fn wait_for_screen(running: &mut Running, texts: &[&str]) -> String {
    loop {
        let shown = screen(&running.stdout_so_far());
        if texts.iter().all(|text| shown.contains(text)) {
            return shown;
        }
        assert!(
            running.is_running(),
            "waited for {texts:?} in vain:\n{shown}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_terminal_shows_every_workspace_live_and_a_clean_end() {
    Engine::require();
    let world = World::new();
    for name in ["gadgets", "widgets"] {
        world.repository(name, &[("README.md", "hi\n")]);
    }
    world.write("mounted/nothing", "");
    let script = "echo first line
        echo working on ${{ repository.name }}
        until [ -e /mounted/go ]; do sleep 0.05; done
        echo more >> README.md; [ ${{ repository.name }} = widgets ]";
    let spec = world.write("spec.yaml", specs::of(&["true", script]));
    let mount = format!("{}:/mounted", world.work().join("mounted").display());
    let mut running = world
        .capstan([
            "batch", "run", "-j", "2", "--output", "out", "--mount", &mount, "-f",
        ])
        .arg(spec)
        .args(["gadgets", "widgets"])
        .on_terminal()
        .spawn();
    let live = wait_for_screen(&mut running, &["working on gadgets", "working on widgets"]);
    // Which of the two begins first is open.
    let mut lines: Vec<&str> = live.lines().collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r"
      ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0/2 workspaces <time>
    ⠋ gadgets 2/2 working on gadgets
    ⠋ widgets 2/2 working on widgets
    ");
    world.write("mounted/go", "");
    let output = running.wait();
    output.assert_code(1);
    let end = screen(output.raw_stdout());
    let (done, summary) = end
        .split_once("widgets: branch")
        .expect("there is a summary");
    assert!(
        done.contains("✓ widgets\n") && done.contains("✗ gadgets exit status 1"),
        "{end}"
    );
    insta::assert_snapshot!(summary, @r"
     change
      README.md | 1 +
      1 file changed, 1 insertion(+)
    ✗ gadgets: step 2 failed
      run: echo first line
            (... and 3 more lines)
      container: alpine:3

      standard out:
            first line
            working on gadgets

      Command failed with exit code 1.
      log: <log>
    wrote out/changesets.json
    2 workspaces: 1 done, 1 failed; 1 changeset; <time>
    ");
}

/// The sequences that set colours.
fn colours(bytes: &[u8]) -> usize {
    let pattern = Regex::new("\x1b\\[[0-9;]*m").expect("it is valid");
    pattern.find_iter(&String::from_utf8_lossy(bytes)).count()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    Engine::require();
    let world = World::new();
    world.repository("widgets", &[("README.md", "hi\n")]);
    let spec = world.write(
        "spec.yaml",
        specs::of(&["echo more >> README.md; printf '\\033[31mred\\n'"]),
    );
    let command = || {
        world
            .capstan(["batch", "run", "--no-cache", "-f"])
            .arg(&spec)
            .arg("widgets")
    };
    let terminal = command().on_terminal().run();
    assert!(colours(terminal.raw_stdout()) > 10);
    let plain = command().on_terminal().env("NO_COLOR", "1").run();
    assert_eq!(colours(plain.raw_stdout()), 0, "{:?}", plain.stdout());
    // The same words, with and without.
    assert_eq!(screen(terminal.raw_stdout()), screen(plain.raw_stdout()));
    insta::assert_snapshot!(screen(plain.raw_stdout()), @r"
    ✓ widgets
    # widgets, branch change
    diff --git README.md README.md
    index 45b983b..65ef226 100644
    --- README.md
    +++ README.md
    @@ -1 +1,2 @@
     hi
    +more
    widgets: branch change
      README.md | 1 +
      1 file changed, 1 insertion(+)
    1 workspace: 1 done; 1 changeset; <time>
    ");

    // A pipe gets no escape sequence, and the diff as it is.
    let piped = command()
        .env("NO_COLOR", "")
        .env("TERM", "xterm")
        .arg("-v")
        .run();
    for bytes in [piped.raw_stdout(), piped.raw_stderr()] {
        assert!(!bytes.contains(&0x1b), "{piped}");
    }
    insta::assert_snapshot!(piped, @r"
    --- stdout
    # widgets, branch change
    diff --git README.md README.md
    index 45b983b..65ef226 100644
    --- README.md
    +++ README.md
    @@ -1 +1,2 @@
     hi
    +more
    --- stderr
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: echo more >> README.md; printf '\033[31mred\n'
    [widgets] | red
    [widgets] done
    widgets: branch change
      README.md | 1 +
      1 file changed, 1 insertion(+)
    1 workspace: 1 done; 1 changeset; <time>
    --- exit 0
    ");
}

#[test]
fn nothing_that_others_write_controls_the_terminal() {
    Engine::require();
    let world = World::new();
    // Sets the title, clears the screen, and lies about the result.
    let evil = "\x1b]0;evil\x07\x1b[2J\r\x1b[1A\u{9b}2J✓";
    world.repository(&format!("na{evil}me"), &[("README.md", "hi\n")]);
    world.repository("fails", &[("README.md", "hi\n")]);
    let print = r"printf '\033]0;evil\007\033[2J\r\033[1A\302\2332J'";
    let script = format!(
        "{print}; {print} >&2; {print} >> README.md; : > \"$({print})\"; [ '${{{{ repository.name }}}}' != fails ]"
    );
    let step = json!({
        "run": script,
        "container": "alpine:3",
        "outputs": {"evil": {"value": "${{ step.stdout }}"}},
    });
    let template = json!({
        "title": "${{ outputs.evil }}",
        "body": "",
        "branch": "br${{ outputs.evil }}anch",
        "commit": {"message": "Change"},
    });
    let spec = specs::with(&[step], json!({"changesetTemplate": template}));
    let spec = world.write("spec.yaml", spec);
    let arguments = |output: &str| {
        let mut command = world
            .capstan(["batch", "run", "-v", "--apply", "-f"])
            .arg(&spec);
        if !output.is_empty() {
            command = command.args(["--output", output]);
        }
        command.arg(format!("na{evil}me")).arg("fails")
    };
    for output in ["", "out"] {
        let shown = arguments(output).on_terminal().run();
        let text = String::from_utf8_lossy(shown.raw_stdout()).into_owned();
        for sequence in ["\x1b]", "\x1b[2J", "\x07", "\u{9b}"] {
            let place = text
                .find(sequence)
                .map(|at| &text[at.saturating_sub(200)..]);
            assert!(place.is_none(), "{sequence:?} in {place:?}");
        }
        let piped = arguments(output).run();
        let stderr = String::from_utf8_lossy(piped.raw_stderr()).into_owned();
        let control = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!stderr.contains(control), "{stderr:?}");
    }
}
