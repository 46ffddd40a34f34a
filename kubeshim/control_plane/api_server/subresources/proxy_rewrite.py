"""Making a proxied site find itself: links and redirects that begin at its root are put below the proxy's path. Pure.

Only HTML is touched, and in it only the attributes that hold URLs. A tag is rewritten in place, so that whatever else a
document holds, well-formed or not, comes through byte for byte.
"""

import re
from collections.abc import Callable
from html import unescape
from urllib import parse

_ATTRIBUTES = {
    "a": ("href",), "applet": ("codebase",), "area": ("href",), "audio": ("src",), "base": ("href",),
    "blockquote": ("cite",), "body": ("background",), "button": ("formaction",), "command": ("icon",),
    "del": ("cite",), "embed": ("src",), "form": ("action",), "frame": ("longdesc", "src"), "head": ("profile",),
    "html": ("manifest",), "iframe": ("longdesc", "src"), "img": ("longdesc", "src", "usemap"),
    "input": ("formaction", "src", "usemap"), "ins": ("cite",), "link": ("href",),
    "object": ("classid", "codebase", "data", "usemap"), "q": ("cite",), "script": ("src",), "source": ("src",),
    "video": ("poster", "src"),
}  # fmt: skip
_TAG = re.compile(rb"<([a-zA-Z]+)(\s[^<>]*)>")
_VALUE = re.compile(rb"""([\s"'])([a-zA-Z]+)(\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


def html(document: bytes, rewrite: Callable[[str], str]) -> bytes:
    """The document with every URL in it passed through ``rewrite``."""

    def tag(match: re.Match[bytes]) -> bytes:
        names = _ATTRIBUTES.get(match[1].decode().lower())
        if names is None:
            return match[0]

        def value(found: re.Match[bytes]) -> bytes:
            if found[2].decode().lower() not in names:
                return found[0]
            old = next(part for part in (found[4], found[5], found[6]) if part is not None)
            text = unescape(old.decode(errors="surrogateescape"))
            new = rewrite(text)
            if new == text:
                return found[0]
            escaped = new.replace("&", "&amp;").replace('"', "&#34;").encode(errors="surrogateescape")
            return found[1] + found[2] + found[3] + b'"' + escaped + b'"'

        return b"<" + match[1] + _VALUE.sub(value, match[2]) + b">"

    return _TAG.sub(tag, document)


def url(text: str, *, source_host: str, source_path: str, prefix: str) -> str:
    """A URL a backend at ``source_host`` wrote, as the client must use it.

    URLs of other hosts, relative ones and those already below ``prefix`` (the proxy's path, without a slash at its
    end) stay. ``source_path`` is the backend's path that was asked for.
    """
    try:
        found = parse.urlsplit(text)
    except ValueError:
        return text
    if found.netloc and found.netloc != source_host:
        return text
    if found.scheme not in ("", "http", "https"):
        return text
    path = found.path
    if not found.netloc and not path.startswith("/"):
        return text
    if path == prefix or path.startswith(f"{prefix}/"):
        return parse.urlunsplit(("", "", path, found.query, found.fragment))
    # A site that knows it is below a path of its own names that path itself.
    return parse.urlunsplit(("", "", f"{prefix}{path or '/'}", found.query, found.fragment))
