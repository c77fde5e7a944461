//! Small images made from this machine's own programs, so that no registry is needed.

use std::path::Path;
use std::process::Command;

use bollard::Docker;
use bollard::query_parameters::{CreateImageOptions, TagImageOptions};
use futures_util::TryStreamExt;
use tokio::sync::OnceCell;

/// Busybox with all its commands.
pub(crate) const BUSYBOX: &str = "capstan-test/busybox:2";
/// Busybox and bash.
pub(crate) const BASH: &str = "capstan-test/bash:2";
/// Bash without `/bin/sh`.
pub(crate) const BASH_ONLY: &str = "capstan-test/bash-only:2";
/// Busybox without any shell.
pub(crate) const NO_SHELL: &str = "capstan-test/no-shell:2";
/// Busybox without the `env` utility.
pub(crate) const NO_ENV: &str = "capstan-test/no-env:2";
/// Runs as user 1000, with variables, a working directory and an entry point that fails.
pub(crate) const CONFIGURED: &str = "capstan-test/configured:2";
/// Says that it is for another platform.
pub(crate) const FOREIGN: &str = "capstan-test/foreign:2";
/// Its shell is for another processor.
pub(crate) const FOREIGN_SHELL: &str = "capstan-test/foreign-shell:2";

/// Makes the images that are missing.
pub(crate) async fn ensure(api: &Docker) {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        import(api, BUSYBOX, &[], "", |root| busybox(root, |_| true)).await;
        import(api, BASH, &[], "", |root| {
            busybox(root, |_| true);
            bash(root);
        })
        .await;
        import(api, BASH_ONLY, &[], "", |root| {
            busybox(root, |applet| !matches!(applet, "sh" | "ash" | "hush"));
            bash(root);
        })
        .await;
        import(api, NO_SHELL, &[], "", |root| {
            busybox(root, |applet| applet == "true");
        })
        .await;
        import(api, NO_ENV, &[], "", |root| {
            busybox(root, |applet| applet != "env")
        })
        .await;
        let configuration = [
            "USER 1000",
            "ENTRYPOINT [\"/bin/false\"]",
            "CMD [\"unused\"]",
            "WORKDIR /srv",
            "ENV FROM_IMAGE=\"a b\" SHLVL=7 dotted.name=x TMOUT=1",
            "HEALTHCHECK --interval=1s CMD touch /work/health",
        ];
        import(api, CONFIGURED, &configuration, "", |root| {
            busybox(root, |_| true)
        })
        .await;
        let other = if std::env::consts::ARCH == "aarch64" {
            "linux/amd64"
        } else {
            "linux/arm64"
        };
        import(api, FOREIGN, &[], other, |root| busybox(root, |_| true)).await;
        import(api, FOREIGN_SHELL, &[], "", |root| {
            fs_err::create_dir_all(root.join("bin")).unwrap();
            for shell in ["sh", "bash"] {
                let mut program = fs_err::read("/bin/busybox").unwrap();
                program[18..20].copy_from_slice(&[0xf3, 0x7f]);
                fs_err::write(root.join("bin").join(shell), program).unwrap();
                make_executable(&root.join("bin").join(shell));
            }
        })
        .await;
    })
    .await;
}

async fn import(api: &Docker, name: &str, changes: &[&str], platform: &str, fill: impl Fn(&Path)) {
    if api.inspect_image(name).await.is_ok() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fill(root.path());
    for dir in ["tmp", "dev", "etc"] {
        fs_err::create_dir_all(root.path().join(dir)).unwrap();
    }
    let tar = Command::new("tar")
        .arg("-C")
        .arg(root.path())
        .args(["--owner=0", "--group=0", "-cf", "-", "."])
        .output()
        .unwrap();
    assert!(tar.status.success());
    let (repo, tag) = name.split_once(':').unwrap();
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(repo.to_owned()),
        tag: Some(tag.to_owned()),
        changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        platform: platform.to_owned(),
        ..CreateImageOptions::default()
    };
    let body = bollard::body_full(tar.stdout.into());
    let events: Vec<_> = api
        .create_image(Some(options), Some(body), None)
        .try_collect()
        .await
        .unwrap();
    // Podman leaves the name out.
    if api.inspect_image(name).await.is_err() {
        let id = events
            .iter()
            .filter_map(|event| event.status.clone())
            .next_back();
        let options = TagImageOptions {
            repo: Some(repo.to_owned()),
            tag: Some(tag.to_owned()),
        };
        api.tag_image(id.unwrap().trim(), Some(options))
            .await
            .unwrap();
    }
}

fn busybox(root: &Path, wanted: impl Fn(&str) -> bool) {
    let bin = root.join("bin");
    fs_err::create_dir_all(&bin).unwrap();
    fs_err::copy("/bin/busybox", bin.join("busybox")).unwrap();
    make_executable(&bin.join("busybox"));
    let list = Command::new("/bin/busybox").arg("--list").output().unwrap();
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
