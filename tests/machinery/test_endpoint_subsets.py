import pytest

from kubeshim.machinery import endpoint_subsets

HTTP, DNS = {"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}
DNS_TCP = {"name": "dns-tcp", "port": 53, "protocol": "TCP"}
METRICS = {"name": "metrics", "port": 9153, "protocol": "TCP"}
A, B = {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([{"addresses": [B, A], "ports": [HTTP]}], [{"addresses": [A, B], "ports": [HTTP]}]),
        (
            [{"addresses": [A], "ports": [DNS, DNS_TCP, METRICS]}],
            [{"addresses": [A], "ports": [DNS_TCP, METRICS, DNS]}],
        ),
        (
            [{"addresses": [A, B], "ports": [HTTP]}, {"addresses": [B, A], "ports": [HTTP]}],
            [{"addresses": [A, B], "ports": [HTTP]}],
        ),
        (
            [{"addresses": [A], "ports": [HTTP]}, {"notReadyAddresses": [A], "ports": [HTTP]}],
            [{"notReadyAddresses": [A], "ports": [HTTP]}],
        ),
        (
            [{"addresses": [A], "ports": [HTTP]}, {"addresses": [B], "ports": [HTTP]}],
            [{"addresses": [A, B], "ports": [HTTP]}],
        ),
        ([{"addresses": [B, A]}], [{"addresses": [A, B]}]),
        ([{"ports": [HTTP]}], []),
    ],
)
def test_endpoints_have_one_form(given, expected):
    assert endpoint_subsets.repacked(given) == expected
    assert endpoint_subsets.repacked(expected) == expected
