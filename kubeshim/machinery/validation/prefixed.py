"""Names with a domain in front: ``example.com/some/path``."""

import re

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields

_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_is_path = re.compile(_PATH).fullmatch


def path(text: str, place: str) -> list[FieldError]:
    if not text:
        return [fields.required(place)]
    host, _, rest = text.partition("/")
    if not host or not rest:
        return [fields.invalid(place, text, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    wrong = fields.all_invalid(place, host, content.dns_subdomain(host))
    if not _is_path(rest):
        wrong.append(fields.invalid(place, rest, content.regex_error("Invalid path", _PATH)))
    return wrong
