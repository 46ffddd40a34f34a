"""Readers of what clients send: any text gives a value or a refusal of the reader's own, never anything else."""

import contextlib
import fractions

import hypothesis
from hypothesis import strategies

from kubeshim.control_plane.api_server import request_info
from kubeshim.machinery import errors, quantity, selectors
from kubeshim.machinery.codecs import json, protobuf, yaml

quick = hypothesis.settings(max_examples=200, deadline=None)
selector_texts = strategies.text("ab=!,() \tin nto.x/<>1\\\0é", max_size=40)
numbers = strategies.from_regex(r"[+-]?[0-9]{0,30}(\.[0-9]{0,30})?(e[+-]?[0-9]{1,3}|[numkKMGTPE]i?)?", fullmatch=True)


@quick
@hypothesis.given(selector_texts)
def test_label_selectors(text):
    with contextlib.suppress(selectors.SelectorError):
        selectors.parse_labels(text).matches({"a": "b"})


@quick
@hypothesis.given(selector_texts)
def test_field_selectors(text):
    with contextlib.suppress(selectors.SelectorError):
        selectors.parse_fields(text).matches({"a": "b"})


@quick
@hypothesis.given(strategies.text(max_size=30) | numbers)
def test_quantities(text):
    try:
        found = quantity.parse(text)
    except quantity.FormatError:
        return
    again = quantity.parse(found.canonical())
    assert (again.nano, again.canonical()) == (found.nano, found.canonical())


@quick
@hypothesis.given(strategies.integers(0, 10**15), strategies.integers(0, 9))
def test_quantities_are_exact(number, places):
    text = f"{number // 10**places}.{number % 10**places:0{places}d}" if places else str(number)
    assert fractions.Fraction(quantity.parse(text).nano, 10**9) == fractions.Fraction(number, 10**places)


@quick
@hypothesis.given(
    strategies.sampled_from(["GET", "PUT", "HEAD", "X"]),
    strategies.lists(
        strategies.sampled_from(["api", "apis", "v1", "apps", "namespaces", "pods", "watch", "proxy", "..", "", "a\0"])
    ),
)
def test_paths(method, parts):
    info = request_info.parse(method, "/" + "/".join(parts), {"fieldSelector": ["=,="], "watch": [""]})
    assert isinstance(info.is_resource, bool)


@quick
@hypothesis.given(strategies.binary(max_size=200))
def test_bodies(body):
    for reader in (json, yaml):
        with contextlib.suppress(json.Malformed, errors.APIStatusError):
            reader.decode(body, strict=True)
    with contextlib.suppress(errors.APIStatusError, json.Malformed):
        protobuf.decode(b"k8s\0" + body)
