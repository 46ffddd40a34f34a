import json as stdlib_json

import hypothesis
import pytest
from hypothesis import strategies as st

from kubeshim.machinery.codecs import json, json_scanner


@pytest.mark.parametrize(
    ("body", "duplicates"),
    [
        (b'{"a":1,"b":{"a":2}}', []),
        (b'{"a":1,"a":2}', ['duplicate field "a"']),
        (b'{"a" : 1, "a":2}', ['duplicate field "a"']),
        (b'{"a":1,"\\u0061":2}', ['duplicate field "a"']),
        (
            b'{"spec":{"containers":[{"name":"x"},{"image":"a","image":"b"}],"paused":true,"paused":false}}',
            ['duplicate field "spec.containers[1].image"', 'duplicate field "spec.paused"'],
        ),
        (b'{"note":"\\"a\\":1,\\"a\\" : 2"}', []),
        (b'{"x":"\\u0022:", "a" :1,"a" :2}', ['duplicate field "a"']),
    ],
)
def test_duplicate_keys(body, duplicates):
    assert json.decode(body, strict=True)[1] == duplicates
    assert json.decode(body, strict=False)[1] == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b'{"a":}', "invalid character '}' looking for beginning of value"),
        (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"{}x", "invalid character 'x' after top-level value"),
        (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b'"\\q"', "invalid character 'q' in string escape code"),
        (b'"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"[" * 5000, "exceeded max depth"),
    ],
)
def test_malformed_bodies_are_refused_in_gos_words(body, text):
    with pytest.raises(json.Malformed) as caught:
        json.decode(body, strict=True)
    assert caught.value.message == text
    assert caught.value.status_code == 400


def test_broken_unicode_becomes_the_replacement_character():
    assert json.decode(b'{"a\xff":"\\ud800x"}', strict=True)[0] == {"a\ufffd": "\ufffdx"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@hypothesis.given(VALUES, st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]), st.booleans())
def test_a_body_without_duplicates_has_none_however_it_is_written(value, separators, ascii_only):
    body = stdlib_json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
    assert json.decode(body, strict=True) == (value, [])
    assert json_scanner.scan(body) == []


@hypothesis.given(st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=4), st.data())
def test_every_duplicate_is_found(value, data):
    key = data.draw(st.sampled_from(sorted(value)))
    written = stdlib_json.dumps(value)
    body = f"{written[:-1]}, {stdlib_json.dumps(key)}: 1}}".encode()
    decoded, duplicates = json.decode(body, strict=True)
    assert decoded == {**value, key: 1}
    assert duplicates == [f'duplicate field "{key}"']


def test_depth_is_bounded_also_where_the_fast_parser_would_go_on():
    assert json.decode(b"[" * 250 + b"]" * 250, strict=True)[1] == []
    with pytest.raises(json.Malformed, match="exceeded max depth"):
        json.decode(b"[" * 400 + b"]" * 400, strict=True)


def test_what_go_escapes_for_the_sake_of_html():
    value = {"a<": "b > c && d\u2028"}
    for encode in (json.encode, json.encode_pretty):
        written = encode(value)
        assert stdlib_json.loads(written) == value
        assert not any(char.encode() in written for char in "<>&\u2028")
    assert json.encode(value) == rb'{"a\u003c":"b \u003e c \u0026\u0026 d\u2028"}'
