"""A policy: images must come from one registry.

Configuration: registry = what images must begin with, such as "docker.io/library/".
"""

from wit_world import exports
from wit_world.exports.policy import Decision_Keep, Decision_Refuse, Verdict_Keep
from wit_world.imports import config
from wit_world.imports.types import Refusal


class Policy(exports.Policy):
    def check_job(self, job):
        return Decision_Keep()

    def check_step(self, job, step):
        registry = config.get("registry")
        if registry is None or step.image().startswith(registry):
            return Decision_Keep()
        return Decision_Refuse(
            Refusal(
                rule="registry",
                reason=f"the image {step.image()} does not come from {registry}",
                details=[("step", str(step.number()))],
            )
        )

    def check_diff(self, job, diff):
        return Verdict_Keep()
