import kubelet_kit as kit_module
import pytest


@pytest.fixture
def kit(tmp_path):
    """A kubelet over a fake engine with nothing special; tests that need more have a ``kit`` of their own."""
    made = kit_module.make(tmp_path)
    yield made
    made.close()
