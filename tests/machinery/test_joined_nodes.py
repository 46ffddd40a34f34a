import pytest

from kubeshim.machinery import joining

HERE = joining.Endpoint("192.0.2.1", 24, "02:00:00:00:00:01", 7, 8472, direct=True)


def test_endpoints_are_told_and_understood():
    assert joining.endpoint({"metadata": {"annotations": {joining.ENDPOINT: HERE.encoded()}}}) == HERE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "{}",
        HERE.encoded().replace("192.0.2.1", "x"),
        HERE.encoded().replace('"vni":7', '"vni":0'),
        HERE.encoded().replace('"vni":7', '"vni":16777216'),
        HERE.encoded().replace("8472", "65536"),
        HERE.encoded().replace('"prefix":24', '"prefix":33'),
    ],
)
def test_what_cannot_be_understood_is_no_endpoint(text):
    assert joining.endpoint({"metadata": {"annotations": {joining.ENDPOINT: text}}}) is None


@pytest.mark.parametrize(("address", "prefix", "same"), [
    ("192.0.2.200", 24, True), ("192.0.3.1", 24, False), ("192.0.2.200", 25, False),
])  # fmt: skip
def test_one_link_or_not(address, prefix, same):
    other = joining.Endpoint(address, prefix, "", 1, 1)
    assert HERE.on_link(other) is other.on_link(HERE) is same


def test_a_joined_node_stands_in_its_own_range():
    assert joining.link_network("10.244.7.0/24") == "10.244.7.0/30"
    assert joining.gateway_address("10.244.7.0/24") == "10.244.7.1"
    assert joining.node_address("10.244.7.0/24") == "10.244.7.2"
    assert joining.node_address("") == ""
    with pytest.raises(ValueError, match="too small"):
        joining.link_network("10.244.7.0/29")
