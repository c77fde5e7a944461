//! The compile worker as a process of its own: this program, with the argument `work`.

use std::process::ExitCode;

use capstan_plugin_host::{Compiler, Host, LoadError, Options, compile_worker};

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "work") {
        return compile_worker();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        code_of_the_worker_runs_here().await;
        what_the_worker_refuses_is_told().await;
        a_worker_that_dies_is_told().await;
        a_worker_that_is_not_there_is_named().await;
    });
    ExitCode::SUCCESS
}

fn host(program: &str, arguments: &[&str]) -> Host {
    Host::new(Options {
        cache: None,
        key: None,
        cache_limit: 0,
        compiler: Compiler::Worker {
            program: program.into(),
            arguments: arguments.iter().map(Into::into).collect(),
        },
    })
    .unwrap()
}

fn worker() -> Host {
    let itself = std::env::current_exe().unwrap();
    host(itself.to_str().unwrap(), &["work"])
}

/// A command of `functions` functions that does nothing.
fn command(functions: usize) -> Vec<u8> {
    let functions =
        "(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))".repeat(functions);
    wat::parse_str(format!(
        r#"(component
            (core module $m (func (export "run") (result i32) (i32.const 0)) {functions})
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $command)))"#
    ))
    .unwrap()
}

async fn error(host: &Host, bytes: &[u8]) -> LoadError {
    match host.load(bytes, None).await {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

async fn code_of_the_worker_runs_here() {
    let component = worker().load(&command(20_000), None).await.unwrap();
    assert!(component.inspection().command);
}

async fn what_the_worker_refuses_is_told() {
    let mut bytes = command(1);
    bytes.truncate(bytes.len() - 3);
    let error = error(&worker(), &bytes).await;
    assert!(matches!(error, LoadError::NotAComponent(_)), "{error:?}");
}

async fn a_worker_that_dies_is_told() {
    let error = error(&host("/bin/sh", &["-c", "kill -KILL $$"]), &command(1)).await;
    assert_eq!(
        error.to_string(),
        "it could not be compiled: the compiler ended with signal: 9 (SIGKILL); \
         it may use 2048 MiB of memory and 120 seconds of processor time"
    );
}

async fn a_worker_that_is_not_there_is_named() {
    let error = error(&host("/nonexistent/capstan", &[]), &command(1)).await;
    assert_eq!(
        error.to_string(),
        "starting /nonexistent/capstan to compile it: No such file or directory (os error 2)"
    );
}
