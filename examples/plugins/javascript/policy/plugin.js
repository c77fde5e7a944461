// A policy: images must come from one registry.
//
// Configuration: registry = what images must begin with, such as "docker.io/library/".

import { get } from "capstan:plugin/config@0.1.0";

export const policy = {
  checkJob(job) {
    return { tag: "keep" };
  },

  checkStep(job, step) {
    const registry = get("registry") ?? "";
    if (step.image().startsWith(registry)) return { tag: "keep" };
    return {
      tag: "refuse",
      val: {
        rule: "registry",
        reason: `the image ${step.image()} does not come from ${registry}`,
        details: [["step", String(step.number())]],
      },
    };
  },

  checkDiff(job, diff) {
    return { tag: "keep" };
  },
};
