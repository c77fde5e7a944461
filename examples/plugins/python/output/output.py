from wit_world.exports import output
from wit_world.imports import config


class Filter(output.Filter):
    """One stream of one step."""

    def __init__(self, step, channel):
        self.drop = (config.get("drop") or "DEBUG").encode()

    def push(self, chunk):
        lines = chunk.splitlines(keepends=True)
        return b"".join(line for line in lines if not line.startswith(self.drop))

    def finish(self):
        return b""
