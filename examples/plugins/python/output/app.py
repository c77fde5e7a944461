"""Filters output: leaves out lines that begin with a word, and counts the others.

Configuration: drop = the word; DEBUG by default. The filter is in output.py: a resource has a module of its own.
"""

from wit_world import exports
from wit_world.exports.output import Chunks


class Output(exports.Output):
    def chunking(self, step, channel):
        return Chunks.LINES

    def derive_outputs(self, step, stdout, stderr):
        # Values are JSON.
        return [("lines", str(len(stdout.splitlines())))]
