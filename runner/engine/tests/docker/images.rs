//! Small images made from this machine's own programs, so that no registry is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use futures_util::TryStreamExt;
use tokio::sync::OnceCell;

/// Busybox with all its commands.
pub(crate) const BUSYBOX: &str = "capstan-test/busybox:4";
/// Busybox and bash.
pub(crate) const BASH: &str = "capstan-test/bash:4";
/// Bash without `/bin/sh`.
pub(crate) const BASH_ONLY: &str = "capstan-test/bash-only:4";
/// Busybox without any shell.
pub(crate) const NO_SHELL: &str = "capstan-test/no-shell:4";
/// Busybox without the `env` utility.
pub(crate) const NO_ENV: &str = "capstan-test/no-env:4";
/// Runs as user 1000, with variables, a working directory and an entry point that fails.
pub(crate) const CONFIGURED: &str = "capstan-test/configured:4";
/// Says that it is for another platform.
pub(crate) const FOREIGN: &str = "capstan-test/foreign:4";
/// Its shell is for another processor.
pub(crate) const FOREIGN_SHELL: &str = "capstan-test/foreign-shell:4";

/// Makes the images that are missing.
pub(crate) async fn ensure(api: &Docker) {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| make(api)).await;
}

async fn make(api: &Docker) {
    let (own, other) = match std::env::consts::ARCH {
        "aarch64" => ("arm64", "amd64"),
        _ => ("amd64", "arm64"),
    };
    let plain = |name: &'static str, fill: fn(&Path)| load(api, name, own, "{}", fill);
    plain(BUSYBOX, |root| busybox(root, |_| true)).await;
    plain(BASH, |root| {
        busybox(root, |_| true);
        bash(root);
    })
    .await;
    plain(BASH_ONLY, |root| {
        busybox(root, |applet| !matches!(applet, "sh" | "ash" | "hush"));
        bash(root);
    })
    .await;
    plain(NO_SHELL, |root| busybox(root, |applet| applet == "true")).await;
    plain(NO_ENV, |root| busybox(root, |applet| applet != "env")).await;
    plain(FOREIGN_SHELL, foreign_shells).await;
    load(api, FOREIGN, other, "{}", |root| busybox(root, |_| true)).await;
    let configuration = r#"{
        "User": "1000",
        "Entrypoint": ["/bin/false"],
        "Cmd": ["unused"],
        "WorkingDir": "/srv",
        "Env": ["FROM_IMAGE=a b", "SHLVL=7", "dotted.name=x", "TMOUT=1"],
        "Healthcheck": {"Test": ["CMD", "touch", "/work/health"], "Interval": 1000000000}
    }"#;
    load(api, CONFIGURED, own, configuration, |root| {
        busybox(root, |_| true);
    })
    .await;
}

/// Loads an image of one layer, as `docker load` does.
async fn load(
    api: &Docker,
    name: &str,
    architecture: &str,
    configuration: &str,
    fill: impl Fn(&Path),
) {
    if api.inspect_image(name).await.is_ok() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let layer = root.path().join("layer");
    for dir in ["tmp", "dev", "etc"] {
        fs_err::create_dir_all(layer.join(dir)).unwrap();
    }
    fill(&layer);
    let write = |file: &str, text: String| fs_err::write(root.path().join(file), text).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .current_dir(root.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success());
        output.stdout
    };
    run(
        "tar",
        &[
            "-C",
            "layer",
            "--owner=0",
            "--group=0",
            "-cf",
            "layer.tar",
            ".",
        ],
    );
    let sum = String::from_utf8(run("sha256sum", &["layer.tar"])).unwrap();
    let digest = sum.split_whitespace().next().unwrap();
    write(
        "config.json",
        format!(
            r#"{{"architecture":"{architecture}","os":"linux","config":{configuration},"rootfs":{{"type":"layers","diff_ids":["sha256:{digest}"]}}}}"#
        ),
    );
    write(
        "manifest.json",
        format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":["layer.tar"]}}]"#),
    );
    let tar = run(
        "tar",
        &["-cf", "-", "manifest.json", "config.json", "layer.tar"],
    );
    let options = ImportImageOptions::default();
    let body = bollard::body_full(tar.into());
    let _: Vec<_> = api
        .import_image(options, body, None)
        .try_collect()
        .await
        .unwrap();
}

/// Shells whose header names a processor that does not exist.
fn foreign_shells(root: &Path) {
    fs_err::create_dir_all(root.join("bin")).unwrap();
    for shell in ["sh", "bash"] {
        let mut program = fs_err::read(static_busybox()).unwrap();
        program[18..20].copy_from_slice(&[0xf3, 0x7f]);
        let path = root.join("bin").join(shell);
        fs_err::write(&path, program).unwrap();
        make_executable(&path);
    }
}

/// The static busybox that `tests/scripts/images --test` finds or gets; that of this machine where it was not asked.
fn static_busybox() -> PathBuf {
    std::env::var_os("CAPSTAN_TEST_BUSYBOX").map_or_else(|| "/bin/busybox".into(), PathBuf::from)
}

fn busybox(root: &Path, wanted: impl Fn(&str) -> bool) {
    let bin = root.join("bin");
    fs_err::create_dir_all(&bin).unwrap();
    fs_err::copy(static_busybox(), bin.join("busybox")).unwrap();
    make_executable(&bin.join("busybox"));
    let list = Command::new(static_busybox())
        .arg("--list")
        .output()
        .unwrap();
    for applet in String::from_utf8(list.stdout).unwrap().lines() {
        let link = bin.join(applet);
        if wanted(applet) && applet != "busybox" {
            std::os::unix::fs::symlink("busybox", link).unwrap();
        }
    }
}

fn bash(root: &Path) {
    let copy = |path: &str| {
        let target = root.join(path.trim_start_matches('/'));
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(path, target).unwrap();
    };
    copy("/bin/bash");
    let libraries = Command::new("ldd").arg("/bin/bash").output().unwrap();
    for word in String::from_utf8(libraries.stdout)
        .unwrap()
        .split_whitespace()
    {
        if word.starts_with('/') {
            copy(word);
        }
    }
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
