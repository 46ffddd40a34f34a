import pytest

from kubeshim.control_plane.api_server.admission.plugins import namespace_lifecycle
from kubeshim.machinery import errors
from tests.control_plane.api_server.admission import admission_kit as kit

READER = kit.Objects(
    namespaces=[
        {"metadata": {"name": "n"}, "status": {"phase": "Active"}},
        {"metadata": {"name": "going"}, "status": {"phase": "Terminating"}},
    ]
)


def ask(kind, **options):
    new = None if options.get("operation") == "DELETE" else kit.named(options.get("name") or "x")
    namespace_lifecycle.NamespaceLifecycle().admit(kit.attributes(kind, new, **options), READER)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("configmaps", {}),
        ("configmaps", {"operation": "UPDATE", "namespace": "going"}),
        ("configmaps", {"operation": "DELETE", "namespace": "nowhere"}),
        ("localsubjectaccessreviews.authorization.k8s.io", {"namespace": "nowhere"}),
        ("nodes", {}),
        ("namespaces", {}),
        ("namespaces", {"operation": "DELETE", "name": "kube-node-lease"}),
    ],
)
def test_allowed(kind, options):
    ask(kind, **options)


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_nothing_is_written_where_there_is_no_namespace(operation):
    with pytest.raises(errors.NotFound) as caught:
        ask("configmaps", operation=operation, namespace="nowhere")
    assert caught.value.message == 'namespaces "nowhere" not found'
    assert caught.value.details == {"name": "nowhere", "kind": "namespaces"}


def test_nothing_new_is_made_in_a_namespace_that_is_going():
    with pytest.raises(errors.Forbidden) as caught:
        ask("deployments.apps", namespace="going")
    assert caught.value.message == (
        'deployments.apps "x" is forbidden: unable to create new content in namespace going because it is being '
        "terminated"
    )
    assert caught.value.details["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace going is being terminated",
            "field": "metadata.namespace",
        }
    ]


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_immortal_namespaces(name):
    with pytest.raises(errors.Forbidden) as caught:
        ask("namespaces", operation="DELETE", name=name)
    assert caught.value.message == f'namespaces "{name}" is forbidden: this namespace may not be deleted'
