"""Tables of inputs and the complaints they draw, written as text.

A line at the margin is an input, in YAML's flow style; the indented lines under it are the complaints it draws, in
order and word for word. An input with none under it passes. ``$NAME`` stands for one of the long texts below.
"""

import string

import pytest
import yaml

from kubeshim.machinery import defaults, resources
from kubeshim.machinery.validation import content

TEXTS = {
    "LABEL": content.dns_label("A")[0],
    "SUBDOMAIN": content.dns_subdomain("A_")[0],
    "RELAXED": content.dns_subdomain_with_underscores("A")[0],
    "SERVICE": content.dns_1035_label("A")[0],
    "QUALIFIED": content.qualified_name("-")[0],
    "PARTS": content.qualified_name("a/b/c")[0].partition("a qualified name ")[2],
    "VALUE": content.label_value("-")[0],
    "KEY": content.config_key("a/b")[0],
    "ENV": content.env_name("=")[0],
    "HEADER": content.http_header_name("a b")[0],
    "IP": content.ip("x")[0],
    "CIDR": content.cidr("x")[0],
    "PORT": "must be between 1 and 65535, inclusive",
    "NEGATIVE": "must be greater than or equal to 0",
    "RELATIVE": "must be a relative path",
    "BACKSTEPS": "must not contain '..'",
    "IMMUTABLE": "field is immutable",
}


def rows(text: str) -> list:
    """What a table's text says, for parametrize: (input, complaints)."""
    found: list[tuple[str, list[str]]] = []
    for line in string.Template(text).substitute(TEXTS).splitlines():
        if line.startswith(" "):
            found[-1][1].append(line.strip())
        elif line:
            found.append((line, []))
    return [pytest.param(yaml.safe_load(line), expected, id=line[:70]) for line, expected in found]


def texts(problems) -> list[str]:
    """The complaints as they are sent."""
    return [str(problem) for problem in problems]


def filled(kind: resources.GroupVersionKind, obj: dict) -> dict:
    """An object with its defaults."""
    obj.setdefault("apiVersion", kind.group_version)
    obj.setdefault("kind", kind.kind)
    defaults.apply(kind, obj)
    return obj
