"""Files made of ConfigMaps, Secrets, a pod's own fields, and all of them in one volume: content, modes, owners, updates."""

import base64

import pytest

from tests.conformance.kube import PATIENCE, Refused, container, meta, pod
from tests.conformance.names import answers, case

DATA = {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}
SOURCES = ("ConfigMap", "Secret", "Projected configMap", "Projected secret")
OFFICIAL = {"ConfigMap": "ConfigMap", "Secret": "Secrets"}


def official(source, text):
    return f"[sig-storage] {OFFICIAL.get(source, source)} {text}"


def make(kube, source, name, data=DATA, **more):
    """The ConfigMap or Secret a volume of ``source`` reads."""
    kind = "Secret" if "ecret" in source else "ConfigMap"
    texts = {"stringData": data} if kind == "Secret" else {"data": data}
    return kube.create(
        {"kind": f"v1 {kind}".split(" ")[-1], "apiVersion": "v1", "metadata": meta(name), **texts, **more}
    )


def volume(source, name, *, items=None, mode=None, optional=None, volume_name="files"):
    """A volume of it; ``mode`` is the default one."""
    key = "secretName" if source == "Secret" else "name"
    body = {key: name}
    if items:
        body["items"] = items
    if optional is not None:
        body["optional"] = optional
    if source.startswith("Projected"):
        whole = {"sources": [{"secret" if "secret" in source else "configMap": body}]}
        field = "projected"
    else:
        whole, field = body, "secret" if source == "Secret" else "configMap"
    if mode is not None:
        whole["defaultMode"] = mode
    return {"name": volume_name, field: whole}


def mount(path="/etc/files", name="files", **more):
    return {"name": name, "mountPath": path, **more}


def look(path):
    """Mode, group and content of a file, following links."""
    return f"stat -L -c '%a %g' {path}; cat {path}"


MAPPED = [{"key": "data-2", "path": "path/to/data-2"}]
MAPPED_MODE = [{"key": "data-2", "path": "path/to/data-2", "mode": 0o400}]
NON_ROOT = {"runAsUser": 1000}
OWNED = {"runAsUser": 1000, "fsGroup": 1001}
PLAIN = [
    ("should be consumable from pods in volume", {}, {}, "data-1", "644 0\nvalue-1"),
    ("should be consumable from pods in volume with defaultMode set", {"mode": 0o400}, {}, "data-1", "400 0\nvalue-1"),
    (
        "should be consumable from pods in volume with mappings",
        {"items": MAPPED},
        {},
        "path/to/data-2",
        "644 0\nvalue-2",
    ),
    (
        "should be consumable from pods in volume with mappings and Item {M}ode set",
        {"items": MAPPED_MODE},
        {},
        "path/to/data-2",
        "400 0\nvalue-2",
    ),
]
OF_CONFIG_MAPS = [
    ("should be consumable from pods in volume as non-root", {}, NON_ROOT, "data-1", "644 0\nvalue-1"),
    (
        "should be consumable from pods in volume with mappings as non-root",
        {"items": MAPPED},
        NON_ROOT,
        "path/to/data-2",
        "644 0\nvalue-2",
    ),
]
OF_SECRETS = [
    (
        "should be consumable from pods in volume as non-root with defaultMode and fsGroup set",
        {"mode": 0o440},
        OWNED,
        "data-1",
        "440 1001\nvalue-1",
    ),
]


def consumable():
    for source in SOURCES:
        secret = "ecret" in source
        for text, options, security, file, expected in PLAIN + (OF_SECRETS if secret else OF_CONFIG_MAPS):
            text = text.format(M="M" if secret else "m")
            yield case(source, options, security, file, expected, of=official(source, text))


@pytest.mark.parametrize(("source", "options", "security", "file", "expected"), list(consumable()))
def test_files(kube, source, options, security, file, expected):
    make(kube, source, "it")
    main = container(look(f"/etc/files/{file}"), volumeMounts=[mount(readOnly=True)])
    found = kube.run(pod("reader", main, volumes=[volume(source, "it", **options)], securityContext=security))
    assert found == expected


@pytest.mark.parametrize(
    "source",
    [
        case(
            source,
            of=official(
                source,
                "should be consumable in multiple volumes in " + ("a pod" if "ecret" in source else "the same pod"),
            ),
        )
        for source in SOURCES
    ],
)
def test_two_volumes_of_one(kube, source):
    make(kube, source, "it")
    mounts = [mount("/etc/one", "one", readOnly=True), mount("/etc/two", "two", readOnly=True)]
    main = container("cat /etc/one/data-1 /etc/two/data-1", volumeMounts=mounts)
    volumes = [volume(source, "it", volume_name=name) for name in ("one", "two")]
    assert kube.run(pod("reader", main, volumes=volumes)) == "value-1value-1"


@answers(
    "[sig-storage] Secrets should be able to mount in a volume regardless of a different secret existing with same name in different namespace"
)
def test_a_secret_of_the_same_name_elsewhere(kube, make_namespace):
    make(make_namespace(), "Secret", "it", {"other": "other"})
    make(kube, "Secret", "it")
    main = container("ls /etc/files; cat /etc/files/data-1", volumeMounts=[mount()])
    assert kube.run(pod("reader", main, volumes=[volume("Secret", "it")])) == "data-1\ndata-2\ndata-3\nvalue-1"


@answers("[sig-storage] ConfigMap binary data should be reflected in volume")
def test_binary_data(kube):
    binary = bytes([0xDE, 0xCA, 0xFE, 0xBA, 0xD0, 0xFE, 0xFF])
    make(kube, "ConfigMap", "it", binaryData={"dump.bin": base64.b64encode(binary).decode()})
    main = container("cat /etc/files/data-1; echo; hexdump -C /etc/files/dump.bin", volumeMounts=[mount()])
    found = kube.run(pod("reader", main, volumes=[volume("ConfigMap", "it")]))
    assert "value-1" in found
    assert "de ca fe ba d0 fe ff" in found


# ---- updates

SHOW = "while :; do for f in $(ls -d /etc/*/*data*); do echo $f=$(cat $f); done; sleep 0.1; done"


def saw(kube, name, text, *, container=None):
    """Follows a log until a line is ``text``."""
    for line in follow(kube, name, container):
        if line == text:
            return
    raise AssertionError(f"the log never said {text!r}")


def follow(kube, name, container):
    options = {"container": container} if container else {}
    answer = kube.core.read_namespaced_pod_log(
        name, kube.namespace, follow=True, _preload_content=False, _request_timeout=PATIENCE, **options
    )
    try:
        rest = b""
        for chunk in answer.stream(4096, decode_content=False):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in lines)
    finally:
        answer.close()
        answer.release_conn()


@pytest.mark.parametrize(
    "source",
    [
        case(source, of=official(source, "updates should be reflected in volume"))
        for source in SOURCES
        if "onfig" in source
    ],
)
def test_an_update_arrives(kube, source):
    make(kube, source, "it")
    kube.start(pod("reader", container(SHOW, volumeMounts=[mount()]), volumes=[volume(source, "it")]))
    saw(kube, "reader", "/etc/files/data-1=value-1")
    kube.patch("v1 ConfigMap", "it", {"data": {"data-1": "value-2"}})
    saw(kube, "reader", "/etc/files/data-1=value-2")


@pytest.mark.parametrize(
    "source",
    [case(source, of=official(source, "optional updates should be reflected in volume")) for source in SOURCES],
)
def test_what_is_optional_comes_changes_and_goes(kube, source):
    kind = "v1 Secret" if "ecret" in source else "v1 ConfigMap"
    for name in ("deleted", "changed"):
        make(kube, source, name, {f"data-{name}": "value-1"})
    names = ("deleted", "changed", "created")
    volumes = [volume(source, name, optional=True, volume_name=name) for name in names]
    mounts = [mount(f"/etc/{name}", name, readOnly=True) for name in names]
    show = "while :; do echo $(cat /etc/deleted/* 2>/dev/null)-$(cat /etc/changed/*)-$(cat /etc/created/* 2>/dev/null); sleep 0.1; done"
    kube.start(pod("reader", container(show, volumeMounts=mounts), volumes=volumes))
    saw(kube, "reader", "value-1-value-1-")
    kube.delete(kind, "deleted")
    new = {"stringData" if "ecret" in source else "data": {"data-changed": "value-3"}}
    kube.patch(kind, "changed", new)
    make(kube, source, "created", {"data-created": "value-1"})
    saw(kube, "reader", "-value-3-value-1")


@pytest.mark.parametrize(
    "kind",
    [
        case("ConfigMap", of="[sig-storage] ConfigMap should be immutable if `immutable` field is set"),
        case("Secret", of="[sig-storage] Secrets should be immutable if `immutable` field is set"),
    ],
)
def test_immutable(kube, kind):
    make(kube, kind, "it", {"a": "1"})
    field = "stringData" if kind == "Secret" else "data"
    key = f"v1 {kind}"
    kube.patch(key, "it", {field: {"a": "2"}})
    kube.patch(key, "it", {"immutable": True})
    for change in ({"immutable": False}, {field: {"a": "3"}}, {field: {"b": "3"}}):
        with pytest.raises(Refused) as refused:
            kube.patch(key, "it", change)
        assert refused.value.status == 422
    kube.patch(key, "it", {"metadata": {"labels": {"still": "free"}}})
    kube.delete(key, "it")


# ---- a pod's own fields

DOWNWARD = ("Downward API volume", "Projected downwardAPI")


def downward(source, *items, mode=None):
    body = {"items": list(items)}
    if source.startswith("Projected"):
        whole = {"sources": [{"downwardAPI": body}]}
        field = "projected"
    else:
        whole, field = body, "downwardAPI"
    if mode is not None:
        whole["defaultMode"] = mode
    return {"name": "files", field: whole}


def field(path, file="it", **more):
    return {"path": file, "fieldRef": {"fieldPath": path}, **more}


def resource(name, divisor=None):
    ref = {"containerName": "main", "resource": name}
    return {"path": "it", "resourceFieldRef": {**ref, "divisor": divisor} if divisor else ref}


LIMITS = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}
FIELDS = [
    ("should provide podname only", field("metadata.name"), None, "644 0\nreader"),
    ("should set DefaultMode on files", field("metadata.name"), 0o400, "400 0\nreader"),
    ("should set mode on item file", field("metadata.name", mode=0o400), None, "400 0\nreader"),
    ("should provide container's cpu limit", resource("limits.cpu"), None, "644 0\n2"),
    ("should provide container's memory limit", resource("limits.memory"), None, "644 0\n67108864"),
    ("should provide container's cpu request", resource("requests.cpu", "1m"), None, "644 0\n250"),
    ("should provide container's memory request", resource("requests.memory", "1Mi"), None, "644 0\n32"),
]


@pytest.mark.parametrize(
    ("source", "item", "mode", "expected"),
    [
        case(source, item, mode, expected, of=f"[sig-storage] {source} {text}")
        for source in DOWNWARD
        for text, item, mode, expected in FIELDS
    ],
)
def test_own_fields(kube, source, item, mode, expected):
    main = container(look("/etc/files/it"), volumeMounts=[mount()], resources=LIMITS)
    assert kube.run(pod("reader", main, volumes=[downward(source, item, mode=mode)])) == expected


@pytest.mark.parametrize(
    ("source", "name"),
    [
        case(
            source,
            name,
            of=f"[sig-storage] {source} should provide node allocatable ({name}) as default {name} limit if the limit is not set",
        )
        for source in DOWNWARD
        for name in ("cpu", "memory")
    ],
)
def test_limits_default_to_the_nodes(kube, source, name):
    main = container("cat /etc/files/it", volumeMounts=[mount()])
    found = kube.run(pod("reader", main, volumes=[downward(source, resource(f"limits.{name}"))]))
    node = kube.get("Node", kube.get("Pod", "reader")["spec"]["nodeName"])
    allocatable = node["status"]["allocatable"][name]
    units = {"Ki": 1024, "Mi": 1024**2, "m": 1e-3}
    unit = next((u for u in units if allocatable.endswith(u)), "")
    assert int(found) == int(allocatable.removesuffix(unit)) * units.get(unit, 1)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        case(source, what, of=f"[sig-storage] {source} should update {what} on modification")
        for source in DOWNWARD
        for what in ("labels", "annotations")
    ],
)
def test_changed_fields_arrive(kube, source, what):
    show = "while :; do cat /etc/files/it; echo; sleep 0.1; done"
    reader = pod(
        "reader", container(show, volumeMounts=[mount()]), volumes=[downward(source, field(f"metadata.{what}"))],
        **{what: {"key1": "value1"}},
    )  # fmt: skip
    kube.start(reader)
    saw(kube, "reader", 'key1="value1"')
    kube.patch("Pod", "reader", {"metadata": {what: {"key3": "value3"}}})
    saw(kube, "reader", 'key3="value3"')


@answers("[sig-storage] Projected combined should project all components that make up the projection API")
def test_all_sources_in_one_volume(kube):
    make(kube, "ConfigMap", "config", {"configmap-data": "config-value"})
    make(kube, "Secret", "hidden", {"secret-data": "secret-value"})
    sources = [
        {"secret": {"name": "hidden"}},
        {"configMap": {"name": "config"}},
        {"downwardAPI": {"items": [field("metadata.name", "podname")]}},
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
    ]
    script = "cd /all; cat podname secret-data configmap-data; echo; cut -d. -f1 token"
    log = kube.run(
        pod(
            "reader",
            container(script, volumeMounts=[mount("/all")]),
            volumes=[{"name": "files", "projected": {"sources": sources}}],
        )
    )
    values, head = log.splitlines()
    assert values == "readersecret-valueconfig-value"
    assert b'"alg"' in base64.urlsafe_b64decode(head + "==")
