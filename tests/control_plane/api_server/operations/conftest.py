"""The official client against a whole server with its own identities."""

import kubernetes
import pytest
import yaml

from tests.control_plane.api_server.subresources import conftest as subresources


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    made = subresources.Secure(tmp_path_factory.mktemp("secure"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def official(secure):
    """The official client as the cluster's administrator."""
    kubeconfig = yaml.safe_load(secure.files.kubeconfig("admin").read_bytes())
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{secure.port}"
    settings = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config_from_dict(kubeconfig, client_configuration=settings)
    with kubernetes.client.ApiClient(settings) as client:
        yield client


@pytest.fixture(scope="module")
def namespace(official):
    core = kubernetes.client.CoreV1Api(official)
    core.create_namespace({"metadata": {"name": "coverage"}})
    core.create_namespaced_service_account("coverage", {"metadata": {"name": "default"}})
    return "coverage"
