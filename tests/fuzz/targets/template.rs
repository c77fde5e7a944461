//! Any text as a step's template, parsed and rendered.
#![no_main]

use std::sync::LazyLock;

use capstan_core::changed_files::ChangedFiles;
use capstan_core::task::BatchChange;
use capstan_core::template::{self, RepositoryVars, StepContext, StepVars};

/// A context in which most variables have something in them.
static CONTEXT: LazyLock<StepContext> = LazyLock::new(|| {
    let files = ChangedFiles {
        modified: vec!["a.go".into(), "b c.md".into()],
        added: vec!["new".into()],
        ..ChangedFiles::default()
    };
    StepContext {
        repository: RepositoryVars {
            name: "github.com/acme/widgets".into(),
            branch: "main".into(),
            search_result_paths: vec!["a.go".into()],
        },
        batch_change: BatchChange {
            name: "hello".into(),
            description: "says hello".into(),
        },
        steps: files.clone(),
        previous_step: StepVars {
            files,
            stdout: "out\n".into(),
            stderr: String::new(),
        },
        ..StepContext::default()
    }
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = template::render_step("fuzz", text, &CONTEXT);
});
