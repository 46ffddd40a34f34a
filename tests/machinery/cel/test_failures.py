"""What does not compile, what fails when run, and in which words."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeshim.machinery.cel import declarations, environment, types
from kubeshim.machinery.cel.libraries import table

SCHEMA = {
    "type": "object",
    "properties": {
        "x": {"type": "integer"},
        "name": {"type": "string", "nullable": True},
        "list": {"type": "array", "items": {"type": "string"}},
        "either": {"x-kubernetes-int-or-string": True},
        "when": {"type": "string", "format": "date-time"},
        "unknown": {"x-kubernetes-preserve-unknown-fields": True},
    },
}
DECLARED = declarations.declare(SCHEMA)
_START = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)


def compile_error(source):
    with pytest.raises(environment.CompileError) as caught:
        environment.compile_expression(source, {"self": DECLARED.type})
    return str(caught.value).removeprefix("compilation failed: ERROR: <input>:")


@pytest.mark.parametrize(
    ("source", "first_line"),
    [
        ("self.y == 1", "1:5: undefined field 'y'"),
        ("self.unknown == 1", "1:5: undefined field 'unknown'"),
        ("self.x.y", "1:7: type 'int' does not support field selection"),
        ("self.x + 'a'", "1:8: found no matching overload for '_+_' applied to '(int, string)'"),
        ("self.x == 'a'", "1:8: found no matching overload for '_==_' applied to '(int, string)'"),
        ("self.name.startsWith(1)", "1:21: found no matching overload for 'startsWith' applied to 'string.(int)'"),
        ("self + 1", "1:6: found no matching overload for '_+_' applied to '(selfType, int)'"),
        ("other", "1:1: undeclared reference to 'other' (in container '')"),
        ("nope(1)", "1:5: undeclared reference to 'nope' (in container '')"),
        ("self.name.nope()", "1:15: undeclared reference to 'nope' (in container '')"),
        ("[1, 'a']", "1:5: expected type 'int' but found 'string'"),
        ("self.x.all(a, true)", "1:5: expression of type 'int' cannot be range of a comprehension "
         "(must be list, map, or dynamic)"),
        ("self.list.all(a.b, true)", "1:16: argument must be a simple name"),
        ("has(self)", "1:5: invalid argument to has() macro"),
        ("self.name.matches('[')", "1:19: invalid matches argument"),
        ("duration('x')", "1:10: invalid duration argument"),
        ("Nope{a: 1}", "1:5: undeclared reference to 'Nope' (in container '')"),
        ("self.x ==", f"1:10: Syntax error: mismatched input '<EOF>' expecting {_START}"),
        ("1 +* 2", f"1:4: Syntax error: extraneous input '*' expecting {_START}"),
        ("1 2", "1:3: Syntax error: extraneous input '2' expecting <EOF>"),
        ("(1", "1:3: Syntax error: missing ')' at '<EOF>'"),
        ("self..x", "1:6: Syntax error: no viable alternative at input '..'"),
        ("1 & 2", "1:3: Syntax error: token recognition error at: '&'"),
        ("for", "1:1: reserved identifier: for"),
        ("9223372036854775808", "1:1: invalid int literal"),
    ],
)  # fmt: skip
def test_compile_errors(source, first_line):
    assert compile_error(source).split("\n")[0] == first_line


def test_errors_show_the_line_and_the_place():
    assert compile_error("self.x == 1 &&\n  self.y") == "2:7: undefined field 'y'\n |   self.y\n | ......^"
    both = compile_error("a + b")
    assert [line for line in both.split("\n") if "undeclared" in line] == [
        "1:1: undeclared reference to 'a' (in container '')",
        "ERROR: <input>:1:5: undeclared reference to 'b' (in container '')",
    ]


def test_the_result_must_be_of_the_type_asked_for():
    with pytest.raises(environment.CompileError, match=r"^must evaluate to bool but got int$"):
        environment.compile_expression("1", {}, result=types.BOOL)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("self.name == 'a'", "no such key: name"),
        ("self.list[1] == 'a'", "index out of bounds: 1"),
        ("1 / (self.x - 1)", "division by zero"),
        ("1 % (self.x - 1)", "modulus by zero"),
        ("9223372036854775807 + self.x", "integer overflow"),
        ("-(-9223372036854775808 * self.x)", "integer overflow"),
        ("self.either + 1", "no such overload"),
        ("self.either.field", "no such overload"),
        ("int(self.list[0])", "type conversion error from 'string' to 'int'"),
        ("{'a': 1}[self.list[0]]", "no such key: b"),
        ("[1].filter(x, x > 1).min()", "min called on empty list"),
        ("optional.none().value()", "optional.none() dereference"),
        ("'abc'.substring(2, 1)", "invalid substring range. start: 2, end: 1"),
        ("'abc'.charAt(9)", "index out of range: 9"),
        ("{'a': 1, 'a': 2}", "Failed with repeated key: a"),
        (
            "quantity('x')",
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ("ip('::ffff:1.2.3.4')", 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed'),
        ("url('x')", 'URL parse error during conversion from string: parse "x": invalid URI for request'),
        ("semver('1.2')", "No Major.Minor.Patch elements found"),
        ("self.when.getHours('Nowhere/City')", "unknown time zone Nowhere/City"),
        ("[0, 1].all(x, 2 / x == 2)", "division by zero"),
    ],
)
def test_runtime_errors(source, reason):
    expression = environment.compile_expression(source, {"self": DECLARED.type})
    data = {"x": 1, "name": None, "list": ["b"], "either": "25%", "when": "2020-01-01T00:00:00Z"}
    with pytest.raises(environment.Failed) as caught:
        expression.evaluate({"self": DECLARED.value(data)})
    assert str(caught.value) == reason


def test_depth_and_size_are_bounded():
    for deep in ("(" * 200 + "1" + ")" * 200, "[" * 200 + "]" * 200, "dyn(" * 200 + "1" + ")" * 200):
        assert environment.compile_expression(deep, {}).estimate() >= 0
    environment.compile_expression(" && ".join(["true"] * 5000), {})
    for source in ("(" * 300 + "1" + ")" * 300, "+".join(["1"] * 300), "-" * 3 + "!" + "[" * 100_001):
        with pytest.raises(environment.CompileError):
            environment.compile_expression(source, {})


@pytest.mark.parametrize(
    "source",
    [
        "9" * 5000, "1.0e999", "'\\ud800'", "'\\U00110000'", "int('" + "9" * 5000 + "')", "double('1e999')",
        "uint('" + "9" * 5000 + "')", "duration('" + "9" * 5000 + "h')", "semver('" + "9" * 5000 + ".0.0')",
        "'%.999999999f'.format([1.0])", "timestamp('0000-01-01T00:00:00Z')",
        "timestamp('9999-12-31T23:59:59Z').getHours('+23:00')", "timestamp(9223372036854775807)", "uint(-1)",
        "int(1.0 / 0.0)", "string(b'\\xff')", "cidr('1.2.3.4/99')", "'a'.split('b', 1)[7]", "[1][dyn('a')]",
    ],
)  # fmt: skip
def test_hostile_values_are_refused(source):
    with pytest.raises((environment.CompileError, environment.Failed)):
        environment.compile_expression(source, {}).evaluate({})


_PIECES = st.sampled_from([*r"""self.x?[](){}1'a'+&&==in,:all!-é\"|""", "self", "in", "&&", "==", "all", " ", "\n"])


@given(st.lists(_PIECES, max_size=25).map("".join))
@settings(max_examples=300)
def test_any_text_compiles_or_is_refused(source):
    try:
        expression = environment.compile_expression(source, {"self": DECLARED.type})
        expression.evaluate({"self": DECLARED.value({"x": 1})})
    except (environment.CompileError, environment.Failed):
        pass


_TOLD = """
    0 -1 1u 9223372036854775807 1.5 1.0/0.0 '' 'a.b' '%s%d' '[' '1.2.3.4/8' '::1' '1Gi' '1.2.3' 'https://[::1]:8/%zz?a=%'
    '2020-01-01T00:00:00Z' b'\\xff' null true [] [1,2] ['a'] [[1]] {'a':1} {} duration('1s') timestamp(0) ip('::1')
    cidr('::/0') quantity('1') semver('1.0.0') url('/') optional.none() optional.of(1) format.uri() int self self.either
"""
_ARGUMENTS = st.sampled_from(_TOLD.split())
_FUNCTIONS = st.sampled_from(table.TABLE.forms())


@given(_FUNCTIONS, st.lists(_ARGUMENTS, min_size=1, max_size=3))
@settings(max_examples=600)
def test_any_call_has_a_value_or_is_refused(function, args):
    name, member = function
    if not re.fullmatch(r"[a-zA-Z.0-9]+", name):
        return
    hidden = [f"dyn({arg})" for arg in args]
    source = f"{hidden[0]}.{name}({', '.join(hidden[1:])})" if member else f"{name}({', '.join(hidden)})"
    try:
        expression = environment.compile_expression(source, {"self": DECLARED.type})
        expression.evaluate({"self": DECLARED.value({"x": 1, "either": 3})})
    except (environment.CompileError, environment.Failed):
        pass
