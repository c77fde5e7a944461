"""Prepares a workspace: leaves a note of what it is for.

Configuration: file = its name; NOTICE by default. The plugin needs the grant `workspace = "write"`.
"""

from pathlib import Path

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import config
from wit_world.imports.types import Error

# The workspace, without git's own files.
ROOT = Path("/work")


class Workspace(exports.Workspace):
    def prepare(self, job):
        note = ROOT / (config.get("file") or "NOTICE")
        try:
            if not note.exists():
                note.write_text(f"Prepared for {job.repository()}\n")
        except OSError as error:
            raise Err(Error(code="io", message=f"{note}: {error.strerror}", retryable=False))
