import hypothesis
import pytest
from hypothesis import strategies as st

from kubeshim.machinery.codecs import json, yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0777", 511),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1.0", 1),
        ("1.5", 1.5),
        ("1e3", 1000),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("yes", True),
        ("'yes'", "yes"),
        ("off", False),
        ("~", None),
        ("null", None),
        ("!!str 12", "12"),
        ("!!binary aGk=", "hi"),
        ("089", 89),
        ("1.2.3", "1.2.3"),
        ("100m", "100m"),
        ("-", [None]),
        ("9223372036854775808", 9223372036854775808),
    ],
)
def test_scalars_are_read_as_go_yaml_reads_them(text, value):
    assert yaml.decode(text.encode(), strict=True) == (value, [])


def test_keys_become_strings_and_merges_are_merged():
    body = b"base: &b {x: 1, z: 2}\n1: one\ntrue: t\nmerged:\n  <<: *b\n  z: 3\n"
    assert yaml.decode(body, strict=True)[0] == {
        "base": {"x": 1, "z": 2}, "1": "one", "true": "t", "merged": {"x": 1, "z": 3},
    }  # fmt: skip


def test_duplicates_are_listed_with_their_lines():
    value, duplicates = yaml.decode(b"a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", strict=True)
    assert value == {"a": 3, "b": {"c": 2}}
    assert duplicates == [
        'yaml: unmarshal errors:\n  line 4: key "c" already set in map\n  line 5: key "a" already set in map'
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"a: b: c", "yaml: mapping values are not allowed in this context"),
        (b"\n\na: [", "yaml: line 3: did not find expected node content"),
        (b"a: *x", "yaml: found undefined alias"),
        (b"a: .inf", "json: unsupported value"),
        (b"[" * 3000, "yaml: "),
    ],
)
def test_malformed(body, text):
    with pytest.raises(json.Malformed) as caught:
        yaml.decode(body, strict=True)
    assert caught.value.message.startswith(text)


def test_an_alias_bomb_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(json.Malformed, match="excessive aliasing"):
        yaml.decode("\n".join(lines).encode(), strict=True)


@hypothesis.given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53)
        | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Co", "Cn"]), max_size=8)
        | st.sampled_from(["yes", "012", "1e3", "~", "", "a\nb", "12:30", " x", "- a", "#", "null", "0x1", "1_0", "n"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcy"), inner, max_size=3),
        max_leaves=10,
    )
)  # fmt: skip
def test_what_is_written_reads_back(value):
    assert yaml.decode(yaml.encode(value), strict=True) == (value, [])
