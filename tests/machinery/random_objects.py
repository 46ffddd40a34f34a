"""Random objects of a type, made from its schema: what a client might send that is of the right form.

Values are those that go wrong most easily: empty and zero, the largest numbers, texts that YAML takes for something
else, canonical and other spellings of quantities and times. The same seed gives the same object.
"""

import base64
import random

TEXTS = (
    "", "a", "web-1", "true", "null", "~", "1e3", "0x10", "012", "1_000", "12:30", "2026-01-01", "no", ".inf",
    "é ☃ 𝄞", " leading", "trailing ", "two\nlines", "ends\n", "ends\n\n", "\n", "\ttab", "- item", "a: b", "# remark",
    "a #b", "'", '"', "\\", "{", "[x]", "*a", "&a", "!t", "%x", "@", "`", "|", ">", "?", ":", "bell\a", "\x7f", "\x85",
    "\u2028", "\ufeffbom", "line\r\nfeed", "=", "<<", "x" * 200, "word " * 40, "two\n  lines", " \nx", "a\n\tb\n ",
)  # fmt: skip
QUANTITIES = (
    "0",
    "1",
    "100m",
    "1500m",
    "1Gi",
    "1024Mi",
    "0.5",
    "1e3",
    "-5",
    "12E",
    "0.1Gi",
    "1000000000000000000000",
    "3n",
)
TIMES = ("2026-01-31T12:00:00Z", "1969-12-31T23:59:59Z", "2026-06-30T14:00:00+02:00", "0001-01-02T00:00:00Z")
MICRO_TIMES = ("2026-01-31T12:00:00.000001Z", "2026-01-31T12:00:00.000000Z", "2026-01-31T14:00:00.5+02:00")
WHOLE = (0, 1, -1, 127, 128, 300, 2**31 - 1, -(2**31))
LONG = (*WHOLE, 2**32, 2**53 + 1, 2**63 - 1, -(2**63))
NUMBERS = (0.5, 1, -2.25, 1e300, 3, 0)
ANYTHING = ({"apiVersion": "v1", "kind": "Any", "list": [1, 2.5, None, "x", True], "deep": {"a": {}}}, {}, {"é": ""})
SCHEMAS = ({}, {"type": "string"})
_DEPTH = 7


def of(schema, seed, density=0.5):
    """An object of a root schema, without kind and apiVersion."""
    return _Maker(random.Random(seed), density).value(schema, 0)


class _Maker:
    def __init__(self, rng, density):
        self.rng, self.density = rng, density

    def value(self, schema, depth):
        return getattr(self, "_" + schema.kind.replace("-", "_"))(schema, depth)

    def _object(self, schema, depth):
        chance = self.density if depth < 2 else self.density * 0.6
        return {
            key: self.value(child, depth + 1)
            for key, child in schema.properties.items()
            if (depth or key not in ("kind", "apiVersion"))
            and (key in schema.required or (depth < _DEPTH and self.rng.random() < chance))
            and (depth < 2 * _DEPTH)
        }

    def _map(self, schema, depth):
        if schema.values is None or depth >= _DEPTH:
            return {}
        keys = self.rng.sample(("a", "b.example/c", "true", "1", "é"), self.rng.randint(0, 3))
        return {key: self.value(schema.values, depth + 1) for key in keys}

    def _array(self, schema, depth):
        if schema.items is None or depth >= _DEPTH:
            return []
        return [self.value(schema.items, depth + 1) for _ in range(self.rng.randint(0, 2))]

    def _string(self, schema, depth):
        return self.rng.choice(tuple(schema.enum) or TEXTS) if schema.format != "byte" else self._bytes(schema, depth)

    def _bytes(self, schema, depth):
        return base64.b64encode(self.rng.randbytes(self.rng.randint(0, 9))).decode()

    def _integer(self, schema, depth):
        return self.rng.choice(WHOLE if schema.format == "int32" else LONG)

    def _number(self, schema, depth):
        return self.rng.choice(NUMBERS)

    def _boolean(self, schema, depth):
        return self.rng.random() < 0.5

    def _quantity(self, schema, depth):
        return self.rng.choice(QUANTITIES)

    def _int_or_string(self, schema, depth):
        return self.rng.choice((0, 80, -1, 2**31 - 1, "", "http", "50%", "80"))

    def _time(self, schema, depth):
        return self.rng.choice(TIMES)

    def _micro_time(self, schema, depth):
        return self.rng.choice(MICRO_TIMES)

    def _fields(self, schema, depth):
        return self.rng.choice(({}, {"f:spec": {".": {}, 'k:{"name":"x"}': {}}}))

    def _any(self, schema, depth):
        kind = schema.definition.rpartition(".")[2]
        if kind == "JSONSchemaPropsOrBool":
            return self.rng.choice((True, False, *SCHEMAS))
        if kind == "JSONSchemaPropsOrArray":
            return self.rng.choice(([{"type": "string"}], *SCHEMAS))
        if kind == "JSONSchemaPropsOrStringArray":
            return self.rng.choice((["a", "b"], *SCHEMAS))
        if kind == "JSON":
            return self.rng.choice((*ANYTHING, 1, "x", True, [1], 0.5))
        return self.rng.choice(ANYTHING)
