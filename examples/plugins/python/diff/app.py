"""Post-processes diffs: takes out what changed below a directory.

Configuration: directory = its path; vendor by default.
"""

from wit_world import exports
from wit_world.exports.diff import Outcome_Done, Shape
from wit_world.imports import config


class Diff(exports.Diff):
    def declare(self):
        # The most it may do. The host proves it.
        return Shape.REMOVE_ONLY

    def process(self, job, diff, edits):
        directory = (config.get("directory") or "vendor").rstrip("/") + "/"
        while (file := diff.next_file()) is not None:
            if file.path().startswith(directory):
                edits.drop_file(file)
        return Outcome_Done()
