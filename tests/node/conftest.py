"""A node's network in namespaces of the test's own."""

import types

import pytest

from tests import netns


@pytest.fixture
def node():
    with netns.node() as made:
        yield made


@pytest.fixture
def dual():
    """The same with two address families."""
    if not netns.HAS_IPV6:
        pytest.skip("this machine has no IPv6")
    with netns.node(dual=True) as made:
        yield made


@pytest.fixture
def ns():
    """``hold()`` a namespace, ``serve`` in one, ``ask`` from one."""
    return types.SimpleNamespace(hold=netns.hold, serve=netns.serve, ask=netns.ask)
