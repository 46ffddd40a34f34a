import pytest

from kubeshim.control_plane.api_server.admission.plugins import service_account
from kubeshim.machinery import errors
from tests.control_plane.api_server.admission import admission_kit as kit

PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR = {"kubernetes.io/config.mirror": "h"}


def admit(pod, *accounts, pause=lambda seconds: None):
    asked = kit.attributes("pods", pod)
    reader = kit.Objects(serviceaccounts=accounts)
    plugin = service_account.ServiceAccount(pause)
    plugin.admit(asked, reader)
    plugin.validate(asked, reader)
    return pod["spec"]


def enforced(**fields):
    account = kit.named("default", **fields)
    account["metadata"]["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}
    return account


def test_every_container_gets_the_token():
    there = {"name": "own", "mountPath": PATH}
    pod = kit.pod(kit.container(), kit.container("d", volumeMounts=[there]), initContainers=[kit.container("i")])
    spec = admit(pod, kit.named("default"))
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == 21
    mount = {"name": volume["name"], "readOnly": True, "mountPath": PATH}
    assert [one["volumeMounts"] for one in spec["containers"]] == [[mount], [there]]
    assert spec["initContainers"][0]["volumeMounts"] == [mount]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert volume["projected"]["defaultMode"] == 420
    assert [source.popitem()[0] for source in volume["projected"]["sources"]] == [
        "serviceAccountToken", "configMap", "downwardAPI",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pod", "account", "mounted"),
    [
        (None, None, True), (None, False, False), (None, True, True),
        (False, None, False), (False, True, False), (True, False, True),
    ],
)  # fmt: skip
def test_the_pod_decides_before_its_account(pod, account, mounted):
    said = {} if account is None else {"automountServiceAccountToken": account}
    spec = admit(
        kit.pod(**({} if pod is None else {"automountServiceAccountToken": pod})), kit.named("default", **said)
    )
    assert ("volumes" in spec) == mounted


def test_a_volume_of_that_name_is_used():
    spec = admit(kit.pod(volumes=[{"name": "kube-api-access-mine", "emptyDir": {}}]), kit.named("default"))
    assert spec["containers"][0]["volumeMounts"][0]["name"] == "kube-api-access-mine"
    assert len(spec["volumes"]) == 1


def test_pull_secrets_come_from_the_account_where_the_pod_has_none():
    account = kit.named("default", imagePullSecrets=[{"name": "s"}])
    assert admit(kit.pod(), account)["imagePullSecrets"] == [{"name": "s"}]
    assert admit(kit.pod(imagePullSecrets=[{"name": "t"}]), account)["imagePullSecrets"] == [{"name": "t"}]


def test_the_default_account_is_waited_for():
    accounts = []
    reader, pod = kit.Objects(serviceaccounts=accounts), kit.pod()
    plugin = service_account.ServiceAccount(lambda seconds: accounts.append(kit.named("default")))
    plugin.admit(kit.attributes("pods", pod), reader)
    assert pod["spec"]["serviceAccountName"] == "default"


def mirror(**spec):
    pod = kit.pod(**spec)
    pod["metadata"]["annotations"] = MIRROR
    return pod


def secret_in(**fields):
    return kit.pod(kit.container(**fields))


TOKEN = [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]
NOT_ALLOWED = "is not allowed because service account default does not reference that secret"


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (kit.pod(serviceAccountName="x"), 'error looking up service account n/x: serviceaccount "x" not found'),
        (mirror(serviceAccountName="default"), "a mirror pod may not reference service accounts"),
        (mirror(volumes=[{"name": "v", "secret": {"secretName": "s"}}]), "a mirror pod may not reference secrets"),
        (mirror(volumes=TOKEN), "a mirror pod may not use service account token volume projections"),
        (
            kit.pod(volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
            f'volume with secret.secretName="s" {NOT_ALLOWED}',
        ),
        (
            secret_in(env=[{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
            f'container c with envVar E referencing secret.secretName="s" {NOT_ALLOWED}',
        ),
        (
            secret_in(envFrom=[{"secretRef": {"name": "s"}}]),
            f'container c with envFrom referencing secret.secretName="s" {NOT_ALLOWED}',
        ),
        (
            kit.pod(imagePullSecrets=[{"name": "s"}]),
            'imagePullSecrets[0].name="s" is not allowed because service account default does not reference that '
            "imagePullSecret",
        ),
    ],
)
def test_refusals(pod, why):
    with pytest.raises(errors.Forbidden) as caught:
        admit(pod, enforced(secrets=[{"name": "other"}]))
    assert caught.value.message == f'pods "p" is forbidden: {why}'


def test_mirror_pods_stay_as_they_are():
    pod = mirror()
    admit(pod)
    assert pod == mirror()
