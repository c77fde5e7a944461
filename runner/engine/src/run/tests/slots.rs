//! The containers that a pod needs for a job.

use super::*;
use crate::run::slots;

#[tokio::test]
async fn a_container_for_each_step_that_may_run() {
    let mut bench = Bench::new().await;
    bench.path = "sub".to_owned();
    fs_err::write(bench.directory.path().join("tool"), "").unwrap();
    let job = bench.job(
        "- run: a
  container: alpine:3
- run: b
  container: alpine:${{ repository.branch }}
  files: {/etc/f: ''}
  mount: [{path: ./tool, mountpoint: /bin/tool}]
- run: c
  container: never:1
  if: false
- run: d
  container: perhaps:1
  if: ${{ eq previous_step.stdout \"x\" }}
- run: e
  container: wasm://./tool.wasm
",
    );
    let mut slots = slots(&job, &bench.settings, Path::new("/job/work")).unwrap();
    for mount in slots.iter_mut().flat_map(|slot| &mut slot.mounts) {
        mount.source = Path::new("/files").join(mount.source.file_name().unwrap());
    }
    let lines: Vec<_> = slots
        .iter()
        .map(|slot| serde_json::to_string(slot).unwrap())
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"image":"alpine:3","user":"image","workspace":"/job/work","place":"/work","directory":"/work/sub"}
    {"image":"alpine:main","user":"image","workspace":"/job/work","place":"/work","directory":"/work/sub","files":["/etc/f"],"mounts":[{"source":"/files/tool","target":"/bin/tool","read_only":true}]}
    {"image":"perhaps:1","user":"image","workspace":"/job/work","place":"/work","directory":"/work/sub"}
    "#);
}

#[tokio::test]
async fn an_image_that_only_steps_know_is_refused() {
    let bench = Bench::new().await;
    let job = bench.job(
        "- run: a
  container: alpine:3
- run: b
  container: alpine:${{ previous_step.stdout }}
",
    );
    let unknown = slots(&job, &bench.settings, Path::new("/job/work")).unwrap_err();
    insta::assert_snapshot!(unknown, @r#"the image of step 2, "alpine:${{ previous_step.stdout }}", depends on what steps do, but a pod gets its containers before the first of them runs"#);
}
