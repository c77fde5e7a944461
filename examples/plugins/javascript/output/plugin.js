// Filters output: leaves out lines that begin with a word, and counts the others.
//
// Configuration: drop = the word; DEBUG by default.

import { get } from "capstan:plugin/config@0.1.0";

const NEWLINE = 10;

// The lines of some bytes, each with its end; they need not be UTF-8.
function* lines(bytes) {
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    yield bytes.subarray(start, end);
    start = end;
  }
}

// One stream of one step.
class Filter {
  constructor(step, channel) {
    const word = get("drop") ?? "DEBUG";
    this.drop = Array.from(word, (letter) => letter.charCodeAt(0));
  }

  push(chunk) {
    const kept = new Uint8Array(chunk.length);
    let length = 0;
    for (const line of lines(chunk)) {
      if (this.drop.every((byte, index) => line[index] === byte)) continue;
      kept.set(line, length);
      length += line.length;
    }
    return kept.slice(0, length);
  }

  finish() {
    return new Uint8Array();
  }
}

export const output = {
  Filter,

  chunking(step, channel) {
    return "lines";
  },

  deriveOutputs(step, stdout, stderr) {
    // Values are JSON.
    return [["lines", String([...lines(stdout)].length)]];
  },
};
