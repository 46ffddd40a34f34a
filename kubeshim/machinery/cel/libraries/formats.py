"""``format``: Kubernetes' named formats, each telling what is wrong with a string."""

import dataclasses
from collections.abc import Callable

from kubeshim.machinery.cel import functions, types, values
from kubeshim.machinery.cel.libraries import urls
from kubeshim.machinery.cel.types import STRING
from kubeshim.machinery.custom_validation import formats
from kubeshim.machinery.validation import content

TYPE = types.opaque("kubernetes.NamedFormat")


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    name: str
    problems: Callable[[str], list[str]]
    cel_type = TYPE


def _prefix(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    return lambda text: check(content.mask_trailing_dash(text))


def _uri(text: str) -> list[str]:
    try:
        urls.parse(text)
    except ValueError as problem:
        return [str(problem)]
    return []


def _known(name: str, complaint: str) -> Callable[[str], list[str]]:
    check = formats.find(name)
    assert check is not None
    return lambda text: [] if check(text) else [complaint]


FORMATS = {
    name: Format(name, problems)
    for name, problems in (
        ("dns1123Label", content.dns_label),
        ("dns1123Subdomain", content.dns_subdomain),
        ("dns1035Label", content.dns_1035_label),
        ("qualifiedName", content.qualified_name),
        ("dns1123LabelPrefix", _prefix(content.dns_label)),
        ("dns1123SubdomainPrefix", _prefix(content.dns_subdomain)),
        ("dns1035LabelPrefix", _prefix(content.dns_1035_label)),
        ("labelValue", content.label_value),
        ("uri", _uri),
        ("uuid", _known("uuid", "does not match the UUID format")),
        ("byte", _known("byte", "invalid base64")),
        ("date", _known("date", "invalid date")),
        ("datetime", _known("datetime", "invalid datetime")),
    )
}


def _named(name: str) -> values.Optional:
    found = FORMATS.get(name)
    return values.Optional(found, True) if found else values.NONE


def _validate(found: Format, text: str) -> values.Optional:
    problems = found.problems(text)
    return values.Optional(problems, True) if problems else values.NONE


def _constant(found: Format) -> Callable[[], Format]:
    return lambda: found


LIBRARY = (
    functions.plain("format.named", "format-named", (STRING,), types.optional_of(TYPE), _named),
    functions.member(
        "validate", "format-validate", (TYPE, STRING), types.optional_of(types.list_of(STRING)), _validate
    ),
    *(
        functions.plain(f"format.{name}", f"format.{name}", (), TYPE, _constant(found))
        for name, found in FORMATS.items()
    ),
)
