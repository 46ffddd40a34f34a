"""What evaluations cost: the numbers kube-apiserver counts for the same rules and data."""

import pytest

from kubeshim.machinery.cel import declarations, environment

_TEXT, _NUMBER, _WHOLE, _FLAG = ({"type": name} for name in ("string", "number", "integer", "boolean"))


def _schema(**properties):
    return {"type": "object", "properties": properties}


def _list(items, **more):
    return {"type": "array", "items": items, **more}


SCHEMA = _schema(
    whole=_WHOLE,
    double=_NUMBER,
    text=_TEXT,
    flag=_FLAG,
    bytes={"type": "string", "format": "byte"},
    span={"type": "string", "format": "duration"},
    stamp={"type": "string", "format": "date-time"},
    phase={"type": "string", "enum": ["Pending", "Bound"]},
    either={"x-kubernetes-int-or-string": True},
    numbers=_list(_WHOLE),
    words=_list(_TEXT, **{"x-kubernetes-list-type": "set"}),
    keyed=_list(
        _schema(k=_TEXT, v=_TEXT, v2=_TEXT), **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    ),
    counts={"type": "object", "additionalProperties": _WHOLE},
    a=_schema(b=_WHOLE, d=_schema(e=_WHOLE), absent=_schema(f=_WHOLE)),
)
DATA = {
    "whole": 5,
    "double": 10,
    "text": "Rook takes 👑",
    "flag": True,
    "bytes": "QUI=",
    "span": "1h2m3s4ms",
    "stamp": "2011-08-18T19:03:37.010000000+01:00",
    "phase": "Pending",
    "either": "25%",
    "numbers": [1, 1, 2, 2, 3, 3, 4, 5],
    "words": ["a", "b", "c"],
    "keyed": [{"k": "a1", "v": "b1"}, {"k": "a2", "v": "b2"}, {"k": "a3", "v": "b3", "v2": "z"}],
    "counts": {"b": 1, "d": 2},
    "a": {"b": 1, "d": {"e": 1}},
}
DECLARED = declarations.declare(SCHEMA)


def evaluate(source):
    expression = environment.compile_expression(source, {"self": DECLARED.type})
    return expression.evaluate({"self": DECLARED.value(DATA)})


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        ("double(self.whole) < self.double", 6),
        ("double(5) < 10.0", 1),
        ("type(self.double) == double", 4),
        ("self.text.startsWith('Rook')", 4),
        ("self.text.matches('^[^0-9]*$')", 8),
        ("!self.text.matches('^[0-9]*$')", 7),
        ("self.text.charAt(3) == 'k'", 4),
        ("self.text.indexOf('o') == 1", 4),
        ("self.text.replace(' ', 'x') == 'Rookxtakesx👑'", 7),
        ("self.text.split(' ') == ['Rook', 'takes', '👑']", 6),
        ("self.text.substring(4, 10).trim() == 'takes'", 6),
        ("self.text.upperAscii() == 'ROOK TAKES 👑'", 6),
        ("size(self.bytes) == 2", 4),
        ("self.span == duration('1h2m') + duration('3s4ms')", 4),
        ("type(self.span) == google.protobuf.Duration", 4),
        ("self.stamp.getDate('01:00') == 18", 4),
        ("self.phase in ['Pending', 'Available']", 2),
        ("type(self.either) == int ? self.either == 1 : self.either == '25%'", 7),
        ("self.either == 1 || self.either == '25%'", 6),
        ("self.either != ['anything']", 3),
        ("2 in self.numbers", 10),
        ("self.numbers.all(e, e > 0)", 43),
        ("self.numbers.exists(e, e > 2)", 36),
        ("self.numbers.exists_one(e, e > 4)", 22),
        ("!self.numbers.all(e, e < 2)", 21),
        ("!self.numbers.exists_one(e, e == 2)", 25),
        ("size(self.numbers.filter(e, e%2 == 0)) == 3", 68),
        ("self.numbers.map(e, e * 20).filter(e, e > 50).exists(e, e == 60)", 194),
        ("self.words == ['c', 'b', 'a']", 3),
        ("self.words + ['c', 'd'] == ['a', 'b', 'c', 'd']", 4),
        ("self.words[0] in self.words", 8),
        ("has(self.keyed[0].v)", 3),
        ("self.keyed.all(m, m.k.startsWith('a'))", 21),
        ("self.keyed.all(m, !has(m.v2) || m.v2 == 'z')", 21),
        ("self.keyed.exists(m, m.k == 'a1' && m.v == 'b1')", 16),
        ("self.keyed.map(m, m.v).exists(v, v == 'b1')", 55),
        ("self.keyed.map(m, has(m.v2) && m.v2 == 'z', m.v2).size() == 1", 25),
        ("self.keyed.exists(m, m.v2 == 'z')", 24),
        ("self.counts.all(k, self.counts[k] > 0)", 17),
        ("size(self.counts.filter(k, self.counts[k] > 1)) == 1", 26),
        ("!('c' in self.counts)", 4),
        ("!has(self.counts.c)", 3),
        ("has(self.a.d.e)", 3),
        ("!(has(self.a.absent) && has(self.a.absent.f))", 3),
    ],
)
def test_costs_are_those_of_upstream(source, cost):
    outcome = evaluate(source)
    assert (outcome.value, outcome.cost) == (True, cost)


def test_an_evaluation_stops_at_its_limit():
    source = "self.numbers.all(a, self.numbers.all(b, self.numbers.all(c, a + b + c > 0)))"
    expression = environment.compile_expression(source, {"self": DECLARED.type})
    with pytest.raises(environment.Failed, match="operation cancelled: actual cost limit exceeded") as caught:
        expression.evaluate({"self": DECLARED.value(DATA)}, limit=200)
    assert 200 < caught.value.cost < 300
