// Post-processes diffs: takes out what changed below a directory.
//
// Configuration: directory = its path; vendor by default.

import { get } from "capstan:plugin/config@0.1.0";

export const diff = {
  declare() {
    // The most it may do. The host proves it.
    return "remove-only";
  },

  process(job, diff, edits) {
    const directory = (get("directory") ?? "vendor").replace(/\/*$/, "/");
    for (let file = diff.nextFile(); file; file = diff.nextFile()) {
      if (file.path().startsWith(directory)) edits.dropFile(file);
    }
    return { tag: "done" };
  },
};
