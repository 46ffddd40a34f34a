"""Makes the helpers beside this file importable from every test, and the server in memory with a client of it.

Generated examples have no time limit.
"""

import hypothesis
import pytest

from tests import fake_api

hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def api():
    server = fake_api.FakeApi()
    yield server
    server.stop()


@pytest.fixture
def client(api):
    client = api.client()
    yield client
    client.close()
