"""The most a rule may cost, as kube-apiserver estimates it from the schema."""

import pytest

from kubeshim.machinery.cel import declarations, environment

_ITEMS = {
    **{name: {"type": name} for name in ("number", "string", "boolean", "integer")},
    **{name: {"type": "string", "format": name} for name in ("duration", "date", "date-time")},
    "int-or-string": {"x-kubernetes-int-or-string": True},
    "numbers": {"type": "array", "items": {"type": "number"}},
    "counts": {"type": "object", "additionalProperties": {"type": "number"}},
}


def array(item, bound=None):
    return {"type": "array", "items": _ITEMS[item], **({} if bound is None else {"maxItems": bound})}


def mapping(item, bound=None):
    found = {"type": "object", "additionalProperties": _ITEMS[item]}
    return found | ({} if bound is None else {"maxProperties": bound})


def text(bound=None, **more):
    return {"type": "string", **more, **({} if bound is None else {"maxLength": bound})}


def bounded_map(bound=None):
    return {
        "type": "object",
        "additionalProperties": text(bound),
        **({} if bound is None else {"maxProperties": bound}),
    }


def three_texts(bound=None):
    return {"type": "object", "properties": {"text": text(bound), "old": text(2), "new": text(4)}}


def estimate(schema, rule):
    declared = declarations.declare(schema)
    expression = environment.compile_expression(rule, {"self": declared.type, "oldSelf": declared.type})
    return expression.estimate(declared)


@pytest.mark.parametrize(
    ("schema", "rule", "cost"),
    [
        (array("number"), "self.all(x, true)", 4718591),
        (array("number", 10), "self.all(x, true)", 32),
        (array("string"), "self.all(x, true)", 3145727),
        (array("boolean"), "self.all(x, true)", 1887437),
        (array("numbers"), "self.all(x, true)", 3145727),
        (mapping("number"), "self.all(x, true)", 1348169),
        (mapping("string"), "self.all(x, true)", 1179647),
        (mapping("boolean", 100), "self.all(x, true)", 302),
        (text(), "self.contains('test')", 314574),
        (text(10), "self.contains('test')", 5),
        (text(), "self.startsWith('test')", 2),
        (text(), "size(self + 'hello') > size('hello')", 314578),
        (text(4), "size(self + 'hello') > size('hello')", 7),
        (array("number"), "self[1] == 0.0", 2),
        (array("string"), "self[1] == self[1]", 314577),
        (array("number", 10), "self.all(x, self.all(y, true))", 352),
        (array("number", 10), "self.all(x, self.all(y, self.all(z, true)))", 3552),
        (text(), "self.matches('x')", 314574),
        (text(50), "self.matches('x')", 22),
        (text(), '"".matches("(((((((((())))))))))[0-9]")', 7),
        (text(), "self.matches('')", 1),
        (bounded_map(), "self.all(x, x.contains(self[x]))", 2752507),
        (bounded_map(10), "self.all(x, x.contains(self[x]))", 72),
        (text(), "self == 'x'", 2),
        (text(0), "self == 'x'", 1),
        (text(0, format="byte"), "self == b'x'", 1),
        (array("number"), "self.all(x, x == 0.0)", 6291454),
        (array("int-or-string"), "self.all(x, true)", 4718591),
        (array("int-or-string"), "self[0] == 5", 3),
        (array("numbers"), "self[0][0] == -1.0", 3),
        (array("counts"), "self.all(x, x.y == 25.2)", 6291452),
        (array("counts"), "self[0].x > 2.0", 4),
        (array("duration"), "self.all(x, true)", 2359295),
        (array("duration"), "self[0].getHours() == 2", 4),
        (array("date"), "self.all(x, true)", 725936),
        (array("date-time"), "self.all(x, true)", 428963),
        (text(), "self.find('[0-9]+') == ''", 629147),
        (text(10), "self.find('[0-9]+') == ''", 11),
        (array("string"), "self.join(' ') == 'aa bb'", 329853068905),
        ({"type": "array", "maxItems": 10, "items": text(10)}, "self.join(' ') == 'aa bb'", 43),
        (array("string"), "self.isSorted() == true", 329854432052),
        ({"type": "array", "maxItems": 10, "items": text(10)}, "self.isSorted() == true", 52),
        (three_texts(), "self.text.replace(self.old, self.new) == 'does not matter'", 629154),
        (three_texts(4), "self.text.replace(self.old, self.new) == 'does not matter'", 12),
        (three_texts(), "self.text.split(self.text) == []", 629160),
        (three_texts(10), "self.text.split(self.text) == []", 22),
        (text(), "self.lowerAscii() == 'lower!'", 314575),
        (text(10), "self.lowerAscii() == 'lower!'", 6),
        (mapping("integer"), "oldSelf.size() == self.size()", 5),
        (mapping("date-time"), "self['a'] == self['b']", 8),
        (text(enum=["A", "B", "LongValue"]), "self.contains('A')", 2),
    ],
)
def test_estimates_are_those_of_upstream(schema, rule, cost):
    assert estimate(schema, rule) == cost


def test_what_has_no_bound_is_capped_not_infinite():
    assert (
        estimate(array("string"), "self.all(a, self.all(b, self.all(c, self.all(d, a.matches(b + c + d)))))")
        == 2**64 - 1
    )


def test_a_required_property_makes_fewer_objects_fit():
    item = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    small = declarations.declare({"type": "array", "items": {"type": "object", "properties": {}}})
    large = declarations.declare({"type": "array", "items": item})
    assert (small.max_elements, large.max_elements) == ((3145728 - 2) // 3, (3145728 - 2) // (2 + 4 + 2 + 4 + 1))
