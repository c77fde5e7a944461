//! The commands that the log shows (facts/executor-protocol.md 4.5 to 6.1): what the original would run. Steps run differently here, but
//! servers and people look at these.

use capstan_protocol::{DockerStep, Job};

use super::Settings;
use super::check::Surroundings;
use super::paths::Below;

/// Where containers see the workspace.
pub(super) const DATA: &str = "/data";

/// Directory of the scripts in the workspace.
pub(super) const SCRIPTS: &str = ".sourcegraph-executor";

/// Name of the script of the docker step `index`.
pub(super) fn script_name(job: &Job, index: usize) -> String {
    let repository = job.repository_name.replace('/', "_");
    let (id, commit) = (job.id(), &job.commit);
    format!("{id}.{index}_{repository}@{commit}.sh")
}

/// The script of a step, in effect (facts 5.5): a command that fails does not end it, and commands are traced. The gate of its container
/// looks for bash.
pub(super) fn script(step: &DockerStep) -> String {
    let mut script = String::from("set +e\nset -x\n\n");
    for command in &step.commands {
        script.push_str(command);
        script.push('\n');
    }
    script
}

/// The command of the docker step `index`, as the log has it; `workspace` is where the container engine sees the workspace.
pub(super) fn docker(
    job: &Job,
    index: usize,
    surroundings: &Surroundings,
    settings: &Settings,
    workspace: &str,
) -> Vec<String> {
    let step = &job.docker_steps[index];
    let script = format!("{DATA}/{SCRIPTS}/{}", script_name(job, index));
    // The container is there already.
    if settings.volume.is_some() {
        return vec!["/bin/sh".to_owned(), script];
    }
    let mut command: Vec<String> = ["docker", "run", "--rm"].map(str::to_owned).into();
    if settings.host_gateway {
        command.push("--add-host=host.docker.internal:host-gateway".to_owned());
    }
    let mut option = |name: &str, value: String| command.extend([name.to_owned(), value]);
    if let Some(cpus) = settings.cpus {
        option("--cpus", cpus.to_string());
    }
    if let Some(memory) = settings.memory {
        option("--memory", size(memory));
    }
    for mount in &settings.mounts {
        option("--mount", mount.clone());
    }
    option("-v", format!("{workspace}:{DATA}"));
    option("-w", at(&surroundings.directory));
    for variable in &step.env {
        option("-e", variable.clone());
    }
    option("--entrypoint", "/bin/sh".to_owned());
    command.extend([step.image.clone(), script]);
    command
}

/// Where containers see a directory of the workspace.
pub(super) fn at(directory: &Below) -> String {
    match directory.is_root() {
        true => DATA.to_owned(),
        false => format!("{DATA}/{directory}"),
    }
}

/// A size as people configure it: `12G`.
fn size(bytes: u64) -> String {
    for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// The key of the docker step `index` in the log. Old servers give steps no keys.
pub(super) fn docker_key(step: &DockerStep, index: usize) -> String {
    match step.key.as_str() {
        "" => format!("step.docker.{index}"),
        key => format!("step.docker.{key}"),
    }
}

/// The commands of git with which the original gets the repository: key and arguments, in order.
pub(super) fn git(job: &Job, directory: &str, url: &str) -> Vec<(&'static str, Vec<String>)> {
    let git = |arguments: &[&str]| {
        let all = [&["git", "-C", directory], arguments].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let sparse = !job.sparse_checkout.is_empty();
    let mut fetch = vec![
        "-c",
        "protocol.version=2",
        "fetch",
        "--progress",
        "--no-recurse-submodules",
    ];
    if job.fetch_tags {
        fetch.push("--tags");
    }
    if job.shallow_clone && !job.fetch_tags {
        fetch.push("--no-tags");
    }
    if job.shallow_clone {
        fetch.push("--depth=1");
    }
    if sparse {
        fetch.push("--filter=blob:none");
    }
    fetch.extend(["origin", &job.commit]);
    let mut commands = vec![
        (INIT, git(&["init"])),
        (ADD_REMOTE, git(&["remote", "add", "origin", url])),
        (DISABLE_GC, git(&["config", "--local", "gc.auto", "0"])),
        (FETCH, git(&fetch)),
    ];
    if sparse {
        let mut set = vec!["sparse-checkout", "set", "--no-cone", "--"];
        set.extend(job.sparse_checkout.iter().map(String::as_str));
        let config = git(&["config", "--local", "core.sparseCheckout", "1"]);
        commands.extend([(SPARSE_CONFIG, config), (SPARSE_SET, git(&set))]);
    }
    let mut checkout = vec!["checkout", "--progress", "--force", &job.commit];
    if sparse {
        checkout.splice(..0, ["-c", "protocol.version=2"]);
    }
    commands.push((CHECKOUT, git(&checkout)));
    let set_url = git(&["remote", "set-url", "origin", &job.repository_name]);
    commands.push((SET_REMOTE, set_url));
    commands
}

const INIT: &str = "setup.git.init";
const ADD_REMOTE: &str = "setup.git.add-remote";
const DISABLE_GC: &str = "setup.git.disable-gc";
pub(super) const FETCH: &str = "setup.git.fetch";
const SPARSE_CONFIG: &str = "setup.git.sparse-checkout-config";
const SPARSE_SET: &str = "setup.git.sparse-checkout-set";
pub(super) const CHECKOUT: &str = "setup.git.checkout";
const SET_REMOTE: &str = "setup.git.set-remote";

#[cfg(test)]
mod tests {
    use super::super::check::check;
    use super::*;

    fn job() -> Job {
        let mut job = Job {
            repository_name: "github.com/acme/app".to_owned(),
            commit: "d34db33f".repeat(5),
            shallow_clone: true,
            ..Job::default()
        };
        job.identity.id = 42;
        job.docker_steps.push(DockerStep {
            key: "indexer".to_owned(),
            image: "alpine:3".to_owned(),
            commands: vec!["make".to_owned(), "echo done".to_owned()],
            dir: "./services/api/".to_owned(),
            env: vec!["A=b c".to_owned()],
        });
        job
    }

    fn lines(commands: &[(&str, Vec<String>)]) -> String {
        let lines = commands
            .iter()
            .map(|(key, command)| format!("{key}: {}", command.join(" ")));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_docker_step_is_shown_as_the_original_runs_it() {
        let job = job();
        let checked = check(&job).unwrap();
        let shown =
            |settings| docker(&job, 0, &checked.docker_steps[0], &settings, "/scratch/w").join(" ");
        assert_eq!(
            shown(Settings::default()),
            "docker run --rm -v /scratch/w:/data -w /data/services/api -e A=b c --entrypoint /bin/sh alpine:3 \
             /data/.sourcegraph-executor/42.0_github.com_acme_app@d34db33fd34db33fd34db33fd34db33fd34db33f.sh"
        );
        let all = Settings {
            cpus: Some(4.0),
            memory: Some(12 << 30),
            host_gateway: true,
            mounts: vec!["type=bind,source=/a,target=/b".to_owned()],
            ..Settings::default()
        };
        assert!(shown(all).starts_with(
            "docker run --rm --add-host=host.docker.internal:host-gateway --cpus 4 --memory 12G \
             --mount type=bind,source=/a,target=/b -v /scratch/w:/data "
        ));
    }

    #[test]
    fn a_script_goes_on_after_a_failing_command() {
        assert_eq!(
            script(&job().docker_steps[0]),
            "set +e\nset -x\n\nmake\necho done\n"
        );
    }

    #[test]
    fn git_is_shown_as_the_original_runs_it() {
        let mut job = job();
        insta::assert_snapshot!(lines(&git(&job, "/w/repository", "http://127.0.0.1:7/github.com/acme/app")), @r"
        setup.git.init: git -C /w/repository init
        setup.git.add-remote: git -C /w/repository remote add origin http://127.0.0.1:7/github.com/acme/app
        setup.git.disable-gc: git -C /w/repository config --local gc.auto 0
        setup.git.fetch: git -C /w/repository -c protocol.version=2 fetch --progress --no-recurse-submodules --no-tags --depth=1 origin d34db33fd34db33fd34db33fd34db33fd34db33f
        setup.git.checkout: git -C /w/repository checkout --progress --force d34db33fd34db33fd34db33fd34db33fd34db33f
        setup.git.set-remote: git -C /w/repository remote set-url origin github.com/acme/app
        ");
        job.sparse_checkout = vec!["a/*".to_owned(), "b".to_owned()];
        job.fetch_tags = true;
        insta::assert_snapshot!(lines(&git(&job, "/w", "http://h/r")), @r"
        setup.git.init: git -C /w init
        setup.git.add-remote: git -C /w remote add origin http://h/r
        setup.git.disable-gc: git -C /w config --local gc.auto 0
        setup.git.fetch: git -C /w -c protocol.version=2 fetch --progress --no-recurse-submodules --tags --depth=1 --filter=blob:none origin d34db33fd34db33fd34db33fd34db33fd34db33f
        setup.git.sparse-checkout-config: git -C /w config --local core.sparseCheckout 1
        setup.git.sparse-checkout-set: git -C /w sparse-checkout set --no-cone -- a/* b
        setup.git.checkout: git -C /w -c protocol.version=2 checkout --progress --force d34db33fd34db33fd34db33fd34db33fd34db33f
        setup.git.set-remote: git -C /w remote set-url origin github.com/acme/app
        ");
    }

    #[test]
    fn sizes_are_short_where_they_can_be() {
        for (bytes, text) in [
            (12 << 30, "12G"),
            (512 << 20, "512M"),
            (1500, "1500"),
            (0, "0"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
