// Prepares a workspace: leaves a note of what it is for.
//
// Configuration: file = its name; NOTICE by default. The plugin needs the grant `workspace = "write"`.

import { get } from "capstan:plugin/config@0.1.0";
import { getDirectories } from "wasi:filesystem/preopens@0.2.12";

export const workspace = {
  prepare(job) {
    const name = get("file") ?? "NOTICE";
    const text = `Prepared for ${job.repository()}\n`;
    // The workspace, without git's own files.
    const [root] = getDirectories().find(([, path]) => path === "/work");
    try {
      const flags = { create: true, exclusive: true };
      const file = root.openAt({}, name, flags, { write: true });
      file.write(Uint8Array.from(text, (letter) => letter.charCodeAt(0)), 0n);
    } catch ({ payload: reason }) {
      if (reason === "exist") return;
      throw { code: "io", message: `${name}: ${reason}`, retryable: false };
    }
  },
};
