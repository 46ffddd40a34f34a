import pytest

from kubeshim.machinery import quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Ki", "0"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("1024Ki", "1Mi"),
        ("1024", "1024"),
        ("1000", "1k"),
        ("12000000", "12M"),
        ("1e3", "1e3"),
        ("1E6", "1e6"),
        ("100e-3", "100e-3"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("512", "512"),
        ("0.5Ki", "512"),
        ("1Ei", "1Ei"),
        ("1E", "1E"),
        ("+5", "5"),
        ("-1500m", "-1500m"),
        ("1.Gi", "1Gi"),
        ("99999999999E", "9223372036854775807"),
        ("0.5Mi", "512Ki"),
        ("1.1Ki", "1126400m"),
    ],
)
def test_canonical(text, canonical):
    assert quantity.parse(text).canonical() == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ("abc", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ("1i", "unable to parse quantity's suffix"),
        ("1KI", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ("1 Gi", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
    ],
)
def test_refused(text, message):
    with pytest.raises(quantity.FormatError) as caught:
        quantity.parse(text)
    assert str(caught.value) == message


def test_arithmetic_and_rounding():
    assert quantity.parse("1") + quantity.parse("500m") == quantity.parse("1.5")
    assert (quantity.parse("1Gi") - quantity.parse("512Mi")).canonical() == "512Mi"
    assert (quantity.ZERO + quantity.parse("1Gi")).canonical() == "1Gi"
    assert quantity.parse("1500m").value() == 2
    assert quantity.parse("-1500m").value() == -2
    assert quantity.parse("1u").milli() == 1
    assert quantity.parse("2") > quantity.parse("1999m")
    assert quantity.parse(0.5).canonical() == "500m"
    assert quantity.parse("1e999999999").value() == 2**63 - 1
