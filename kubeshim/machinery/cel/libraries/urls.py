"""``url``, ``isURL`` and the parts of a URL, as Go's ``url.ParseRequestURI`` takes them apart."""

import dataclasses
import re
import urllib.parse

from kubeshim.machinery.cel import functions, types, values
from kubeshim.machinery.cel.types import BOOL, STRING
from kubeshim.machinery.validation import fields

TYPE = types.opaque("kubernetes.URL")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(.*)", re.DOTALL).fullmatch
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})(.{0,2})", re.DOTALL).search
_CONTROL = re.compile(r"[\x00-\x1f\x7f]").search
_BAD_HOST = re.compile(r"[ \"<>\\^`{|}]").search
_UNESCAPED = "!$&'()*+,/:;=@[]~-._"


@dataclasses.dataclass(frozen=True, slots=True)
class Url:
    scheme: str
    host: str
    path: str
    """As written."""
    query: str
    text: str
    cel_type = TYPE

    @property
    def cel_size(self) -> int:
        return len(self.text)

    def cel_json(self) -> str:
        return self.text


def parse(text: str) -> Url:
    """Raises ``ValueError`` with Go's reason."""
    quoted = fields.quote(text)
    if _CONTROL(text):
        raise ValueError(f"parse {quoted}: net/url: invalid control character in URL")
    if not text:
        raise ValueError('parse "": empty url')
    match = _SCHEME(text)
    if text[0] == ":":
        raise ValueError(f"parse {quoted}: missing protocol scheme")
    scheme, rest = (match[1].lower(), match[2]) if match else ("", text)
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        raise ValueError(f"parse {quoted}: invalid URI for request")
    host = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        host, slash, path = rest[2:].partition("/")
        rest = slash + path
        host = host.rpartition("@")[2]
        _check_host(host, quoted)
    bad = _BAD_ESCAPE(rest)
    if bad:
        raise ValueError(f"parse {quoted}: invalid URL escape {fields.quote('%' + bad[1])}")
    return Url(scheme, host, rest, query, text)


def _check_host(host: str, quoted: str) -> None:
    bad = _BAD_HOST(host)
    if bad:
        raise ValueError(f"parse {quoted}: invalid character {fields.quote(bad.group())} in host name")
    name, _, port = host.rpartition(":") if ":" in host and not host.endswith("]") else (host, "", "")
    if port and not port.isdigit():
        raise ValueError(f"parse {quoted}: invalid port {fields.quote(':' + port)} after host")
    if name.startswith("[") and "]" not in host:
        raise ValueError(f"parse {quoted}: missing ']' in host")


def _url(text: str) -> Url:
    try:
        return parse(text)
    except ValueError as problem:
        raise values.EvaluationError(f"URL parse error during conversion from string: {problem}") from None


def _is_url(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _hostname(url: Url) -> str:
    if url.host.startswith("["):
        return url.host[1 : url.host.index("]")]
    return url.host.partition(":")[0]


def _port(url: Url) -> str:
    tail = url.host.rpartition("]")[2] if url.host.startswith("[") else url.host
    return tail.partition(":")[2]


def _escaped_path(url: Url) -> str:
    return urllib.parse.quote(url.path, safe=_UNESCAPED + "%")


def _query(url: Url) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in url.query.split("&"):
        key, _, value = part.partition("=")
        # as Go: a part with a semicolon or a bad escape is left out
        if part and ";" not in part and not _BAD_ESCAPE(part):
            found.setdefault(urllib.parse.unquote_plus(key), []).append(urllib.parse.unquote_plus(value))
    return found


LIBRARY = (
    functions.plain("url", "string_to_url", (STRING,), TYPE, _url),
    functions.plain("isURL", "is_url_string", (STRING,), BOOL, _is_url),
    functions.member("getScheme", "url_get_scheme", (TYPE,), STRING, lambda url: url.scheme),
    functions.member("getHost", "url_get_host", (TYPE,), STRING, lambda url: url.host),
    functions.member("getHostname", "url_get_hostname", (TYPE,), STRING, _hostname),
    functions.member("getPort", "url_get_port", (TYPE,), STRING, _port),
    functions.member("getEscapedPath", "url_get_escaped_path", (TYPE,), STRING, _escaped_path),
    functions.member("getQuery", "url_get_query", (TYPE,), types.map_of(STRING, types.list_of(STRING)), _query),
)
