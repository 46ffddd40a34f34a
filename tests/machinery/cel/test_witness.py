"""Our engine against cel-cpp's: the same value, or an error from both."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeshim.machinery.cel import environment, types, values

cel = pytest.importorskip("cel_expr_python.cel")
ext_optional = pytest.importorskip("cel_expr_python.ext.ext_optional")
ext_strings = pytest.importorskip("cel_expr_python.ext.ext_strings")

WITNESS = cel.NewEnv(
    variables={"a": cel.Type.INT, "s": cel.Type.STRING, "l": cel.Type.List(cel.Type.INT), "d": cel.Type.DYN},
    extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings()],
)
NAMES = {"a": types.INT, "s": types.STRING, "l": types.list_of(types.INT), "d": types.DYN}
DATA = {"a": 3, "s": "abc", "l": [1, 2, 3], "d": {"k": {"n": 1.5}, "e": []}}
FAILED = "failed"


def ours(source):
    try:
        return values.plain(environment.compile_expression(source, NAMES).evaluate(DATA).value)
    except (environment.CompileError, environment.Failed):
        return FAILED


def theirs(source):
    try:
        found = WITNESS.compile(source).eval(data=DATA)
    except (RuntimeError, ValueError):
        return FAILED
    return FAILED if found.type().name() == "ERROR" else found.plain_value()


_INTS = st.sampled_from(["a", "0", "2", "-7", "size(s)", "l[0]", "l[5]", "int(d.k.n)", "9223372036854775807"])
_TEXTS = st.sampled_from(["s", "''", "'b'", "string(a)", "s.upperAscii()", "s.substring(1)", "d.k.missing", "'é'"])


def _combined(bools):
    pair = st.tuples(_INTS, st.sampled_from(["+", "-", "*", "/", "%"]), _INTS).map(" ".join)
    numbers = _INTS | pair.map(lambda text: f"({text})")
    compared = st.tuples(numbers, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers).map(" ".join)
    texts = st.tuples(_TEXTS, st.sampled_from(["==", "<", ">="]), _TEXTS).map(" ".join)
    called = st.tuples(_TEXTS, st.sampled_from(["contains", "startsWith", "matches"]), _TEXTS).map(
        lambda parts: f"{parts[0]}.{parts[1]}({parts[2]})"
    )
    loops = st.tuples(st.sampled_from(["all", "exists", "exists_one"]), bools).map(
        lambda p: f"l.{p[0]}(x, x > a || {p[1]})"
    )
    both = st.tuples(bools, st.sampled_from(["&&", "||"]), bools).map(lambda parts: f"({' '.join(parts)})")
    chosen = st.tuples(bools, bools, bools).map(lambda parts: f"({parts[0]} ? {parts[1]} : {parts[2]})")
    return compared | texts | called | loops | both | chosen | bools.map(lambda text: f"!({text})")


_BOOLS = st.recursive(st.sampled_from(["true", "false", "has(d.k)", "has(d.z)", "a in l"]), _combined, max_leaves=6)


@given(_BOOLS)
@settings(max_examples=400)
def test_conditions_agree(source):
    assert ours(source) == theirs(source)


@pytest.mark.parametrize(
    "source",
    [
        "l.map(x, x * a)", "l.filter(x, x != 2)", "d.k", "d['k']['n']", "d.?z.orValue(4)", "d.?k.?n.value()",
        "{'x': a, 'y': [s]}" .replace("[s]", "2"), "s + string(a) + string(1.5)", "double(a) / 2.0", "-a", "a - -a",
        "'a,b'.split(',')", "['x', 'y'].join('-')", "s.replace('b', 'B')", "s.indexOf('c')", "type(a) == int",
        "timestamp('2020-01-01T00:00:00Z') < timestamp('2021-01-01T00:00:00Z')", "duration('90s') == duration('1m30s')",
        "timestamp('2020-02-29T12:34:56Z').getDayOfYear()", "l + [4]", "size({'a': 1})", "b'abc' == bytes(s)",
        "uint(a) + 2u", "1.0 / 0.0 > 1.0", "int('12') + int(-3.9)", "'\\u0041\\x42\\103'", "r'\\n'", "a in [1, 3]",
    ],
)  # fmt: skip
def test_values_agree(source):
    assert ours(source) == theirs(source)


@pytest.mark.parametrize(
    "source",
    [
        "a b",
        "a +",
        "(a",
        "[1,",
        "a..b",
        "1 +* 2",
        "has(a.b",
        "if",
        "@",
        "",
        "'abc",
        "a ==\n  'x' + ",
        "99999999999999999999",
    ],
)
def test_syntax_errors_have_the_same_words(source):
    with pytest.raises(environment.CompileError) as caught:
        environment.compile_expression(source, NAMES)
    with pytest.raises(RuntimeError) as witness:
        WITNESS.compile(source)
    told = str(witness.value).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    assert str(caught.value) == f"compilation failed: {told}"
