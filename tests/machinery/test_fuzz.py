"""Readers of what clients send: any text gives a value or a refusal of the reader's own, never anything else."""

import contextlib
import fractions
import random
import time

import hypothesis
import pytest
from hypothesis import strategies

from kubeshim.control_plane.api_server import request_info
from kubeshim.machinery import errors, quantity, resources, schemas, selectors
from kubeshim.machinery.codecs import bodies, json, negotiation, protobuf, protobuf_writer, yaml
from kubeshim.machinery.validation import decoding
from tests.machinery import random_objects

quick = hypothesis.settings(max_examples=200)
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


MEDIA = {"json": negotiation.JSON, "yaml": negotiation.YAML, "protobuf": negotiation.PROTOBUF}
KINDS = [
    resources.GroupVersionKind("", "v1", "Pod"),
    resources.GroupVersionKind("", "v1", "Secret"),
    resources.GroupVersionKind("apps", "v1", "StatefulSet"),
    resources.GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    resources.GroupVersionKind("resource.k8s.io", "v1", "ResourceSlice"),
]


def damaged(body, rng):
    """A body with some bytes changed, put in, taken out, or a piece of it said twice."""
    body = bytearray(body)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(body) + 1)
        match rng.randrange(5):
            case 0:
                body[at : at + 1] = bytes((rng.randrange(256),))
            case 1:
                body[at:at] = rng.randbytes(rng.randint(1, 12))
            case 2:
                del body[at : at + rng.randint(1, 12)]
            case 3:
                body[at:at] = body[at : at + rng.randint(1, 60)]
            case 4:
                del body[at:]
    return bytes(body)


@pytest.mark.parametrize("form", MEDIA)
@quick
@hypothesis.given(strategies.sampled_from(KINDS), strategies.integers(0, 2**32))
def test_damaged_bodies(form, gvk, seed):
    """A body is read as an object of its kind, or refused with a 400."""
    schema = schemas.definitions().schema(gvk)
    obj = {"apiVersion": gvk.group_version, "kind": gvk.kind, **random_objects.of(schema, seed % 50, 0.3)}
    decoding.decode(obj, schema, gvk)
    body = {"json": json.encode, "yaml": yaml.encode, "protobuf": protobuf.encode}[form](obj)
    with contextlib.suppress(errors.BadRequest):
        found, duplicates = bodies.read(damaged(body, random.Random(seed)), MEDIA[form], gvk, strictly=True)
        decoding.decode(found, schema, gvk)
        bodies.check(found, schema, duplicates, "Strict", lambda text: None, gvk)
        json.encode(found)


def nested(depth):
    """A CRD's schema within a schema, and so on, as a message."""
    message = b""
    for _ in range(depth):
        message = protobuf_writer.delimited(24, message)
    return message


HALF = 3 << 19
WORST = {
    "json: deep": (negotiation.JSON, b'{"a":' * HALF),
    "json: deep lists": (negotiation.JSON, b"[" * (2 * HALF)),
    "json: many keys": (negotiation.JSON, b"{" + b",".join(b'"%x":1' % n for n in range(250_000)) + b"}"),
    "json: the same key": (negotiation.JSON, b"{" + b",".join([b'"a":1'] * 400_000) + b"}"),
    "json: a long number": (negotiation.JSON, b'{"a":' + b"9" * (2 * HALF) + b"}"),
    "json: escapes": (negotiation.JSON, b'{"a":"' + b"\\ud800" * (HALF // 3) + b'"}'),
    "json: no end": (negotiation.JSON, b'{"a":"' + b"x" * (2 * HALF)),
    "yaml: deep": (negotiation.YAML, b"[" * 20_000),
    "yaml: aliases": (
        negotiation.YAML,
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%b]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 110)),
    ),
    "yaml: merges": (
        negotiation.YAML,
        b"a: &a {x: 1}\n"
        + b"".join(b"%c: &%c {<<: [%b]}\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 110)),
    ),
    "yaml: one key, many aliases": (negotiation.YAML, b"a: &a {x: 1}\nb: [" + b",".join([b"*a"] * 400_000) + b"]"),
    "yaml: a long scalar": (negotiation.YAML, b"a: " + b"9" * (2 * HALF)),
    "yaml: anchors": (negotiation.YAML, b"[" + b",".join(b"&a%d x" % n for n in range(50_000)) + b"]"),
    "protobuf: deep": (negotiation.PROTOBUF, nested(3000)),
    "protobuf: empty fields": (negotiation.PROTOBUF, b"\x12\x00" * HALF),
    "protobuf: unknown fields": (negotiation.PROTOBUF, b"\xf8\x7f\x00" * (2 * HALF // 3)),
    "protobuf: map entries": (negotiation.PROTOBUF, b"\x0a\x04\x5a\x02\x0a\x00" * (2 * HALF // 6)),
    "protobuf: long numbers": (negotiation.PROTOBUF, b"\x10" + b"\xff" * (2 * HALF)),
    "protobuf: a length beyond the end": (negotiation.PROTOBUF, b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_bodies_of_three_megabytes(name):
    """Each is read or refused, in time linear in its size: something else would be seen by waiting for it."""
    media, body = WORST[name]
    gvk = resources.GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    if media == negotiation.PROTOBUF:
        body = protobuf.wrap(body, gvk)
    schema = schemas.definitions().schema(gvk)
    began = time.process_time()
    with contextlib.suppress(errors.BadRequest):
        found, duplicates = bodies.read(body, media, gvk, strictly=True)
        decoding.decode(found, schema, gvk)
        bodies.check(found, schema, duplicates, "Strict", lambda text: None, gvk)
    print(f"{name:40} {len(body):8} bytes {time.process_time() - began:6.2f} s")
