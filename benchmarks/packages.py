"""Which contenders are installed, and how to keep them quiet."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from transformers import PrinterCallback, Trainer

from measure import Contender


def split_by_presence(wanted: Mapping[Contender, str]) -> tuple[list[Contender], dict[str, str]]:
    """Contenders whose package is installed, and the other names with the package they lack."""
    present = [contender for contender, package in wanted.items() if find_spec(package)]
    absent = {c.name: package for c, package in wanted.items() if c not in present}
    return present, absent


def quiet_on_cpu() -> dict[str, Any]:
    """Settings of transformers' and TRL's trainers: float32 on the CPU, no side effects."""
    return {
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,  # TRL's default saves memory and costs a third more
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    }


def without_prints(trainer: Trainer) -> Trainer:
    """The trainer, logging to memory only."""
    trainer.remove_callback(PrinterCallback)
    return trainer
