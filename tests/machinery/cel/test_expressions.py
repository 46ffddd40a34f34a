"""What expressions come to: the language, then each library."""

import pytest

from kubeshim.machinery.cel import declarations, environment, types, values

_DYNAMIC = {"self": types.DYN, "n": types.INT, "s": types.STRING}


def evaluate(source, **variables):
    expression = environment.compile_expression(source, _DYNAMIC)
    given = {"self": {}, "n": 1, "s": "abc", **variables}
    return values.plain(expression.evaluate(given).value)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3 - -4", 11),
        ("7 / -2", -3),
        ("-7 % 3", -1),
        ("'a' + 'b'", "ab"),
        ("[1] + [2, 3]", [1, 2, 3]),
        ("b'a' + b'\\xff'", b"a\xff"),
        ("'\\u00e9\\x41\\101'", "éAA"),
        ("r'\\d'", "\\d"),
        ("'''a\nb'''", "a\nb"),
        ("0x1F", 31),
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551615u", 2**64 - 1),
        ("1.5e3", 1500.0),
        ("n == 1 ? 'one' : 'other'", "one"),
        ("true || 1 / 0 == 0", True),
        ("1 / 0 == 0 || true", True),
        ("1 / 0 == 0 && false", False),
        ("1 in [1, 2] && !('c' in {'a': 1})", True),
        ("dyn(1) == 1.0 && dyn(1) == 1u && dyn(1) != true", True),
        ("1 < 1.5 && 2u > 1", True),
        ("[1, 2] == [1, 2] && {'a': [1]} == {'a': [1]}", True),
        ("type(1) == int && type('') == string && type(null) == null_type", True),
        ("type([]) == list && type({}) == map && type(type(1)) == type", True),
        ("has(self.a) || has(self.?b.c)", False),
        ("{'a': {'b': 1}}.a.b", 1),
        ("{1: 'x'}[1] + {true: 'y'}[true]", "xy"),
        ("[1, 2, 3].all(x, x > 0)", True),
        ("[1, 2, 3].exists(x, x == 2) && [1, 2].exists_one(x, x == 2)", True),
        ("[0, 1].exists(x, 1 / x == 1)", True),
        ("[1, 2, 3].filter(x, x % 2 == 1).map(x, x * 10)", [10, 30]),
        ("[1, 2, 3].map(x, x > 1, [x])", [[2], [3]]),
        ("[[1, 2], [3]].map(row, row.map(x, x + 1))", [[2, 3], [4]]),
        ("{'a': 1, 'b': 2}.exists(k, k == 'b')", True),
        ("[5, 6].all(i, v, v == i + 5) && {'a': 1}.exists(k, v, k == 'a' && v == 1)", True),
        ("[5, 6].existsOne(i, v, i == 1)", True),
        ("[5, 6].transformList(i, v, i > 0, i + v)", [7]),
        ("{'a': 1}.transformMap(k, v, v + 1)", {"a": 2}),
        ("['a', 'b'].transformMapEntry(i, v, {v: i})", {"a": 0, "b": 1}),
        ("size('héllo') + [1].size() + size({'a': 1})", 7),
        ("int('42') + int(1.9) + int(3u)", 46),
        ("double('1.5') + double(1)", 2.5),
        ("string(1) + string(true) + string(2.5) + string(1000000.0) + string(b'x')", "1true2.51e+06x"),
        (
            "string(duration('1h30m')) + string(timestamp('2020-01-02T03:04:05.5+01:00'))",
            "5400s2020-01-02T03:04:05.5+01:00",
        ),
        ("bool('true') && !bool('0')", True),
        ("timestamp('2020-01-31T00:00:00Z') + duration('24h') == timestamp('2020-02-01T00:00:00Z')", True),
        ("timestamp('2020-03-01T23:30:00Z').getDayOfWeek('+01:00')", 1),
        ("timestamp('2020-03-01T00:00:00Z').getMonth() + timestamp('2020-03-01T00:00:00Z').getDayOfYear()", 62),
        ("duration('1h1m1.5s').getSeconds() + duration('1.5s').getMilliseconds()", 5161),
        ("string(timestamp('2011-08-18T19:03:37.01+01:00') + duration('1s'))", "2011-08-18T19:03:38.01+01:00"),
        ("'%f|%.1e'.format([1234567.5, 0.00025])", "1,234,567.500000|2.5\u202f×\u202f10⁻⁰⁴"),
        ("'abc'.matches('b') && matches('abc', '^a')", True),
        ("'a.b'.contains('.') && 'ab'.startsWith('a') && 'ab'.endsWith('b')", True),
        ("optional.of(1).orValue(2) + optional.none().orValue(2)", 3),
        ("self.?a.?b.orValue('none')", "none"),
        ("{'a': [1, 2]}[?'a'][?5].orValue(0) + [7][?0].value()", 7),
        ("optional.of(2).optMap(x, x + 1).value() + optional.of(2).optFlatMap(x, optional.of(x)).value()", 5),
        ("optional.ofNonZeroValue('').hasValue() || optional.none().or(optional.of(true)).value()", True),
        ("[1, ?optional.none(), ?optional.of(2)]", [1, 2]),
        ("{?'a': optional.none(), 'b': 1}", {"b": 1}),
    ],
)
def test_language(source, value):
    assert evaluate(source) == value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("[1, 2, 2].isSorted() && ['a', 'b'].isSorted() && ![2, 1].isSorted()", True),
        ("[1, 2].sum() + [].sum()", 3),
        ("[1, 2, 3, 4].slice(1, 3) + lists.range(2).reverse()", [2, 3, 1, 0]),
        ("[[1], [2, 3]].flatten() + [[[4]]].flatten().flatten() + [[5]].flatten(3)", [1, 2, 3, 4, 5]),
        ("[2, 1, 2].distinct() + [2, 1].sort()", [2, 1, 1, 2]),
        ("[{'a': 2}, {'a': 1}].sortBy(e, e.a)[0].a", 1),
        ("[1, 2].first().value() + [1, 2].last().value() + [0].filter(x, x > 0).last().orValue(4)", 7),
        ("[optional.of(1), optional.none()].unwrapOpt() + optional.unwrap([optional.of(2)])", [1, 2]),
        ("[1.5, 0.5].sum()", 2.0),
        ("[3, 1].min() + [3, 1].max()", 4),
        ("[1, 2, 2].indexOf(2) + [1, 2, 2].lastIndexOf(2) + [1].indexOf(9)", 2),
        ("sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])", True),
        ("'abc 123'.find('[0-9]+') + 'abc'.find('x')", "123"),
        ("'1 2 3'.findAll('[0-9]')", ["1", "2", "3"]),
        ("'1 2 3'.findAll('[0-9]', 2)", ["1", "2"]),
        ("'hello'.charAt(4) + 'hello'.substring(1, 3) + 'hello'.substring(4)", "oelo"),
        ("'hello'.indexOf('l') + 'hello'.indexOf('l', 3) + 'hello'.lastIndexOf('l')", 8),
        ("'a-b-c'.split('-', 2)", ["a", "b-c"]),
        ("'abc'.split('')", ["a", "b", "c"]),
        ("' x '.trim() + 'É'.lowerAscii() + 'aé'.upperAscii()", "xÉAé"),
        ("'aXbX'.replace('X', '-') + 'aXbX'.replace('X', '', 1)", "a-b-abX"),
        ("['a', 'b'].join() + ['a', 'b'].join('/')", "aba/b"),
        ("strings.quote('a\"b')", '"a\\"b"'),
        (
            "'%s|%d|%.2f|%e|%b|%x|%X|%o|%%'.format(['a', 3, 2.345, 1.5, 5, 255, 255, 8])",
            "a|3|2.35|1.500000\u202f×\u202f10⁰⁰|101|ff|FF|10|%",
        ),
        ("'%s %s %s'.format([[1, 2], {'k': true}, null])", "[1, 2] {k: true} null"),
        ("url('https://u@example.com:8080/p%20q?a=1&b=x%20y').getHost()", "example.com:8080"),
        ("url('https://[::1]:80/').getHostname() + url('https://[::1]:80/').getPort()", "::180"),
        ("url('/path').getScheme() + url('http://h/a b?').getEscapedPath()", "/a%20b"),
        ("url('https://h/?a=1&a=2').getQuery()", {"a": ["1", "2"]}),
        ("isURL('https://h/') && !isURL('relative') && !isURL('://x')", True),
        ("ip('192.168.0.1').family() + ip('::1').family()", 10),
        ("isIP('1.2.3.4') && !isIP('1.2.3.04') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0')", True),
        ("ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')", True),
        ("ip('127.0.0.1').isLoopback() && ip('224.0.0.1').isLinkLocalMulticast()", True),
        ("ip('10.0.0.1').isGlobalUnicast() && !ip('0.0.0.0').isGlobalUnicast() && ip('::').isUnspecified()", True),
        ("cidr('10.0.0.0/8').containsIP('10.1.1.1') && cidr('10.0.0.0/8').containsIP(ip('10.1.1.1'))", True),
        ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.0.0.0/8').containsCIDR('0.0.0.0/0')", True),
        ("string(cidr('10.1.2.3/8').masked()) + string(cidr('10.1.2.3/8').ip())", "10.0.0.0/810.1.2.3"),
        ("cidr('::/64').prefixLength() == 64 && isCIDR('1.2.3.0/24') && !isCIDR('1.2.3.0')", True),
        ("quantity('1Gi').isGreaterThan(quantity('1G')) && isQuantity('1.5Ki') && !isQuantity('1.5x')", True),
        ("quantity('1').add(quantity('500m')).asApproximateFloat()", 1.5),
        ("quantity('5k').sub(3).asInteger() + quantity('-1').sign()", 4996),
        ("quantity('200m').compareTo(quantity('0.2')) == 0 && quantity('1k') == quantity('1000')", True),
        ("semver('1.2.3').major() + semver('1.2.3').minor() + semver('1.2.3').patch()", 6),
        ("semver('1.0.0-rc.1').isLessThan(semver('1.0.0')) && semver('1.2.3').compareTo(semver('1.2.3')) == 0", True),
        ("isSemver('v1.0', true) && !isSemver('v1.0') && semver('v01.1', true) == semver('1.1.0')", True),
        ("format.dns1123Label().validate('ok').hasValue() || format.uuid().validate('x').hasValue()", True),
        ("format.named('date').value().validate('2020-13-01').value()", ["invalid date"]),
        ("format.named('nope').hasValue()", False),
    ],
)
def test_libraries(source, value):
    assert evaluate(source) == value


def test_variables_are_read_only_when_needed():
    class Lazy(dict):
        def __missing__(self, key):
            raise AssertionError(key)

    assert evaluate("n == 1 || self.never.read", self=Lazy()) is True


def test_names_are_escaped_as_kubernetes_does():
    names = {
        "namespace": "__namespace__", "x-prop": "x__dash__prop", "x.y": "x__dot__y", "a/b": "a__slash__b",
        "redact__d": "redact__underscores__d", "int": "int", "1st": None, "a b": None,
    }  # fmt: skip
    assert {name: declarations.escape(name) for name in names} == names
    assert all(declarations.unescape(escaped) == name for name, escaped in names.items() if escaped)


def test_constructed_objects_take_the_fields_of_their_type():
    spec = types.object_type("Object.spec", {"replicas": declarations.Declaration(types.INT)})
    root = types.object_type("Object", {"spec": declarations.Declaration(spec)})
    known = {"Object": root, "Object.spec": spec}
    made = environment.compile_expression("Object{spec: Object.spec{replicas: 3}}", {}, struct_type=known.get)
    assert values.plain(made.evaluate({}).value.get("spec")) == {"replicas": 3}
    with pytest.raises(environment.CompileError, match="undefined field 'nope'"):
        environment.compile_expression("Object{nope: 1}", {}, struct_type=known.get)
