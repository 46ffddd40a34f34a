import pytest

from kubeshim.machinery import selectors


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a in ()", {"a": ""}, True),
        ("a in (,b)", {"a": ""}, True),
        ("a>3", {"a": "4"}, True),
        ("a<3", {"a": "x"}, False),
        ("a=b,c=d", {"a": "b"}, False),
        ("a=,b", {"a": "", "b": "1"}, True),
        ("in in (in,notin)", {"in": "notin"}, True),
        (" a = b ", {"a": "b"}, True),
        ("x.io/a!=", {"x.io/a": ""}, False),
    ],
)
def test_label_matching(text, labels, expected):
    assert selectors.parse_labels(text).matches(labels) is expected


_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a=-", f'unable to parse requirement: values[0][a]: Invalid value: "-": {_VALUE}'),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: "
            "\"b\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ],
)
def test_label_complaints(text, message):
    with pytest.raises(selectors.SelectorError) as caught:
        selectors.parse_labels(text)
    assert str(caught.value) == message


def test_label_selector_objects():
    selector = selectors.from_label_selector(
        {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["z", "d"]}]}
    )
    assert selector.matches({"a": "b"})
    assert not selector.matches({"a": "b", "c": "d"})
    assert str(selector) == "a=b,c notin (d,z)"
    assert not selectors.from_label_selector(None).matches({"a": "b"})
    assert selectors.from_label_selector({}).matches({"a": "b"})
    with pytest.raises(selectors.SelectorError, match='"Foo" is not a valid label selector operator'):
        selectors.from_label_selector({"matchExpressions": [{"key": "c", "operator": "Foo"}]})


def test_field_selectors():
    selector = selectors.parse_fields(r"metadata.name=a\,b,spec.nodeName!=,status.phase==Running")
    assert selector.matches({"metadata.name": "a,b", "spec.nodeName": "n", "status.phase": "Running"})
    assert not selector.matches({"metadata.name": "a,b", "spec.nodeName": "", "status.phase": "Running"})
    assert selector.exact("metadata.name") == "a,b"
    assert str(selector) == r"metadata.name=a\,b,spec.nodeName!=,status.phase=Running"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "invalid selector: 'foo'; can't understand 'foo'"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_field_complaints(text, message):
    with pytest.raises(selectors.SelectorError) as caught:
        selectors.parse_fields(text)
    assert str(caught.value) == message
