"""Expressions that choose devices: which compile, and what is said of those that do not."""

import pytest

from kubeshim.machinery.validation import device_common

TEN = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
COSTLY = f"{TEN}.all(a, {TEN}.all(b, {TEN}.all(c, {TEN}.all(d, {TEN}.all(e, {TEN}.all(f, int('1') == 1))))))"


def told(expression):
    return [str(problem) for problem in device_common.selectors([{"cel": {"expression": expression}}], "s")]


@pytest.mark.parametrize(
    "expression",
    [
        'device.driver == "gpu.example.com" && !device.allowMultipleAllocations',
        'device.attributes["gpu.example.com"].model == "x"',
        'device.attributes["gpu.example.com"].model',
        'device.attributes["gpu.example.com"].version.isGreaterThan(semver("0.0.1"))',
        'device.capacity["gpu.example.com"].memory.compareTo(quantity("1Gi")) >= 0',
        'device.attributes["dra.example.com"].services.matches("[a-z]+")',
        'cel.bind(dra, device.attributes["dra.example.com"], dra.oneBool && dra.anotherBool)',
        'has(device.attributes["a"].b) && "c" in device.attributes',
    ],
)
def test_what_compiles(expression):
    assert told(expression) == []


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (
            "noSuchVar",
            "compilation failed: ERROR: <input>:1:1: undeclared reference to 'noSuchVar' (in container '')\n"
            " | noSuchVar\n | ^",
        ),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        (
            "cel.bind(1, true, true)",
            "compilation failed: ERROR: <input>:1:10: cel.bind() variable names must be simple identifiers\n"
            " | cel.bind(1, true, true)\n | .........^",
        ),
    ],
)
def test_what_does_not(expression, text):
    assert told(expression) == [f's[0].cel.expression: Invalid value: "{expression}": {text}']


def test_what_may_cost_too_much():
    assert told(COSTLY) == ["s[0].cel.expression: Forbidden: too complex, exceeds cost limit"]
    assert told("'" + "x" * 10240 + "' == ''") == ["s[0].cel.expression: Too long: may not be more than 10240 bytes"]
