"""What a container finds when it starts: variables, commands and arguments, users, hosts, logs."""

import itertools
import re

import pytest

from tests.conformance.kube import Refused, container, is_ready, meta, pod
from tests.conformance.names import answers, case
from tests.conformance.test_volumes import saw
from tests.e2e.conftest import eventually

FIELD = {
    "POD_NAME": "metadata.name",
    "POD_NAMESPACE": "metadata.namespace",
    "POD_IP": "status.podIP",
    "HOST_IP": "status.hostIP",
    "HOST_IPS": "status.hostIPs",
    "POD_UID": "metadata.uid",
}


def lines(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@pytest.mark.parametrize(
    "names",
    [
        case(
            ["POD_NAME", "POD_NAMESPACE", "POD_IP"],
            of="[sig-node] Downward API should provide pod name, namespace and IP address as env vars",
        ),
        case(["HOST_IP"], of="[sig-node] Downward API should provide host IP as an env var"),
        case(["HOST_IP", "HOST_IPS"], of="[sig-node] Downward API should provide hostIPs as an env var"),
        case(["POD_UID"], of="[sig-node] Downward API should provide pod UID as env vars"),
    ],
)
def test_own_fields(kube, names):
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": FIELD[name]}}} for name in names]
    found = lines(kube.run(pod("it", container("env", env=env))))
    it = kube.get("Pod", "it")
    status, metadata = it["status"], it["metadata"]
    truth = {
        "POD_NAME": "it",
        "POD_NAMESPACE": kube.namespace,
        "POD_IP": status["podIP"],
        "HOST_IP": status["hostIP"],
        "HOST_IPS": ",".join(ip["ip"] for ip in status["hostIPs"]),
        "POD_UID": metadata["uid"],
    }
    assert {name: found[name] for name in names} == {name: truth[name] for name in names}


RESOURCES = {
    "CPU_LIMIT": "limits.cpu",
    "MEMORY_LIMIT": "limits.memory",
    "CPU_REQUEST": "requests.cpu",
    "MEMORY_REQUEST": "requests.memory",
}


def resource_env(names):
    return [{"name": name, "valueFrom": {"resourceFieldRef": {"resource": RESOURCES[name]}}} for name in names]


@answers("[sig-node] Downward API should provide container's limits.cpu/memory and requests.cpu/memory as env vars")
def test_own_resources(kube):
    resources = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}
    found = lines(kube.run(pod("it", container("env", env=resource_env(RESOURCES), resources=resources))))
    assert {name: found[name] for name in RESOURCES} == {
        "CPU_LIMIT": "2",
        "MEMORY_LIMIT": "67108864",
        "CPU_REQUEST": "1",
        "MEMORY_REQUEST": "33554432",
    }


@answers("[sig-node] Downward API should provide default limits.cpu/memory from node allocatable")
def test_limits_of_the_node(kube):
    found = lines(kube.run(pod("it", container("env", env=resource_env(["CPU_LIMIT", "MEMORY_LIMIT"])))))
    node = kube.get("Node", kube.get("Pod", "it")["spec"]["nodeName"])["status"]["allocatable"]
    assert found["CPU_LIMIT"] == node["cpu"]
    assert int(found["MEMORY_LIMIT"]) == int(node["memory"].removesuffix("Ki")) * 1024


# ---- of ConfigMaps and Secrets


def source(kube, kind):
    field = "data" if kind == "ConfigMap" else "stringData"
    kube.create(
        {"apiVersion": "v1", "kind": kind, "metadata": meta("it"), field: {"data-1": "value-1", "p_data": "value-2"}}
    )
    return ("configMapKeyRef", "configMapRef") if kind == "ConfigMap" else ("secretKeyRef", "secretRef")


@pytest.mark.parametrize(
    "kind",
    [
        case("ConfigMap", of="[sig-node] ConfigMap should be consumable via environment variable"),
        case("Secret", of="[sig-node] Secrets should be consumable from pods in env vars"),
    ],
)
def test_one_key(kube, kind):
    reference, _ = source(kube, kind)
    env = [{"name": "IT", "valueFrom": {reference: {"name": "it", "key": "data-1"}}}]
    assert lines(kube.run(pod("it", container("env", env=env))))["IT"] == "value-1"


@pytest.mark.parametrize(
    ("kind", "prefixes"),
    [
        case("ConfigMap", ["", "p_"], of="[sig-node] ConfigMap should be consumable via the environment"),
        case("Secret", ["", "p_"], of="[sig-node] Secrets should be consumable via the environment"),
        case(
            "ConfigMap",
            ["p-", "p.", "#!?/"],
            of="[sig-node] ConfigMap should be consumable as environment variable names with various prefixes",
        ),
        case(
            "Secret",
            ["p-", "p.", "#!?/"],
            of="[sig-node] Secrets should be consumable as environment variable names variable names with various prefixes",
        ),
    ],
)
def test_all_keys(kube, kind, prefixes):
    _, reference = source(kube, kind)
    env = [{"prefix": prefix, reference: {"name": "it"}} for prefix in prefixes]
    # a shell drops names it could not use itself: env(1) is asked without one
    found = lines(kube.run(pod("it", container(["env"], envFrom=env))))
    for prefix in prefixes:
        assert found[f"{prefix}data-1"] == "value-1"
        assert found[f"{prefix}p_data"] == "value-2"


@pytest.mark.parametrize(
    "kind",
    [
        case("ConfigMap", of="[sig-node] ConfigMap should fail to create ConfigMap with empty key"),
        case("Secret", of="[sig-node] Secrets should fail to create secret due to empty secret key"),
    ],
)
def test_empty_keys_are_refused(kube, kind):
    with pytest.raises(Refused) as refused:
        kube.create({"apiVersion": "v1", "kind": kind, "metadata": meta("it"), "data": {"": "dmFsdWU="}})
    assert refused.value.status == 422


# ---- expansion


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        case(
            ["env"],
            None,
            "FOOBAR=foo-value;;bar-value",
            of="[sig-node] Variable Expansion should allow composing env vars into new env vars",
        ),
        case(
            ["sh", "-c", 'FOO=wrong echo "$(FOO)"'],
            None,
            "foo-value",
            of="[sig-node] Variable Expansion should allow substituting values in a container's command",
        ),
        case(
            ["sh", "-c"],
            ['FOO=wrong echo "$(FOO)"'],
            "foo-value",
            of="[sig-node] Variable Expansion should allow substituting values in a container's args",
        ),
    ],
)
def test_expansion(kube, command, args, expected):
    env = [
        {"name": "FOO", "value": "foo-value"},
        {"name": "BAR", "value": "bar-value"},
        {"name": "FOOBAR", "value": "$(FOO);;$(BAR)"},
    ]
    more = {"args": args} if args else {}
    assert expected in kube.run(pod("it", container(command, env=env, **more))).splitlines()


def expanding(name, expression, env, *, command, annotations=None):
    mounts = [
        {"name": "work", "mountPath": "/subpath_mount", "subPathExpr": expression},
        {"name": "work", "mountPath": "/volume_mount"},
    ]
    annotation = {"name": "ANNOTATION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['mysubpath']"}}}
    env = [{"name": "POD_NAME", "value": env}, annotation]
    main = container(command, env=env, volumeMounts=mounts)
    return pod(name, main, volumes=[{"name": "work", "emptyDir": {}}], annotations=annotations)


IDLE = ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]


@answers("[sig-node] Variable Expansion should allow substituting values in a volume subpath")
def test_sub_path_expression(kube):
    assert kube.run(expanding("it", "$(POD_NAME)", "foo", command="test -d /volume_mount/foo; echo $?")) == "0\n"


@pytest.mark.parametrize(
    "value",
    [
        case(
            "..", of="[sig-node] Variable Expansion should fail substituting values in a volume subpath with backticks"
        ),
        case(
            "/tmp",
            of="[sig-node] Variable Expansion should fail substituting values in a volume subpath with absolute path",
        ),
    ],
)
def test_bad_sub_paths(kube, value):
    kube.create(expanding("it", "$(POD_NAME)", value, command=IDLE))
    kube.wait("Pod", "it", lambda p: waiting(p) == "CreateContainerConfigError")


def waiting(obj):
    """Why the first container waits, or None."""
    statuses = obj["status"].get("containerStatuses") or [{}]
    return (statuses[0].get("state", {}).get("waiting") or {}).get("reason")


@answers(
    "[sig-node] Variable Expansion should verify that a failing subpath expansion can be modified during the lifecycle of a container"
)
def test_a_bad_sub_path_can_be_mended(kube):
    it = expanding("it", "$(ANNOTATION)/$(POD_NAME)", "foo", command=IDLE, annotations={"notmysubpath": "mypath"})
    kube.create(it)
    kube.wait("Pod", "it", lambda p: waiting(p) == "CreateContainerConfigError")
    kube.patch("Pod", "it", {"metadata": {"annotations": {"mysubpath": "mypath"}}})
    kube.wait("Pod", "it", is_ready)


@answers("[sig-node] Variable Expansion should succeed in writing subpaths in container")
def test_writing_below_a_sub_path(kube):
    kube.start(expanding("it", "$(ANNOTATION)/$(POD_NAME)", "foo", command=IDLE, annotations={"mysubpath": "mypath"}))
    script = "touch /volume_mount/mypath/foo/test.log && test -f /subpath_mount/test.log && echo good"
    assert kube.execute("it", "sh", "-c", script).strip() == "good"
    kube.patch("Pod", "it", {"metadata": {"annotations": {"mysubpath": "mynewpath"}}})
    assert is_ready(kube.get("Pod", "it"))
    kube.delete("Pod", "it")
    kube.gone("Pod", "it")


# ---- commands and arguments, against what the image says


@answers("[sig-node] Containers should use the image defaults if command and args are blank")
def test_the_images_own_command(kube, testhost):
    kube.start(pod("it", {"name": "main", "image": testhost}))
    saw(kube, "it", "Paused")


TESTER = "entrypoint-tester"


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        case(
            None,
            [TESTER, "override", "arguments"],
            "[/agnhost entrypoint-tester override arguments]\n",
            of="[sig-node] Containers should be able to override the image's default arguments (container cmd)",
        ),
        # the image's arguments ("pause") go with its entrypoint
        case(
            ["/agnhost-2", TESTER],
            None,
            "[/agnhost-2 entrypoint-tester]\n",
            of="[sig-node] Containers should be able to override the image's default command (container entrypoint)",
        ),
        case(
            ["/agnhost-2"],
            [TESTER, "override", "arguments"],
            "[/agnhost-2 entrypoint-tester override arguments]\n",
            of="[sig-node] Containers should be able to override the image's default command and arguments",
        ),
    ],
)
def test_commands(kube, testhost, command, args, expected):
    main = {"name": "main", "image": testhost, "securityContext": {"runAsUser": 1000}}
    if command:
        main["command"] = command
    if args:
        main["args"] = args
    assert kube.run(pod("it", main)) == expected


# ---- users and privileges


@pytest.mark.parametrize(
    ("spec", "security", "expected"),
    [
        case(
            {},
            {"runAsUser": 65534},
            "uid=65534",
            of="[sig-node] Security Context When creating a container with runAsUser should run the container with uid 65534",
        ),
        case(
            {},
            {"runAsUser": 1001, "runAsGroup": 2002},
            "uid=1001 gid=2002",
            of="[sig-node] Security Context should support container.SecurityContext.RunAsUser And container.SecurityContext.RunAsGroup",
        ),
        case(
            {"runAsUser": 1001, "runAsGroup": 2002},
            {},
            "uid=1001 gid=2002",
            of="[sig-node] Security Context should support pod.Spec.SecurityContext.RunAsUser And pod.Spec.SecurityContext.RunAsGroup",
        ),
    ],
)
def test_users(kube, spec, security, expected):
    log = kube.run(pod("it", container("id", securityContext=security), securityContext=spec))
    assert re.sub(r"\([^)]*\)", "", log).startswith(expected)


@pytest.mark.parametrize(
    ("security", "script", "expected"),
    [
        case(
            {"privileged": False},
            "ip link add dummy0 type dummy || true",
            "ip: RTNETLINK answers: Operation not permitted",
            of="[sig-node] Security Context When creating a pod with privileged should run the container as unprivileged when false",
        ),
        case(
            {"readOnlyRootFilesystem": False},
            "echo x >/file && echo written",
            "written",
            of="[sig-node] Security Context When creating a pod with readOnlyRootFilesystem should run the container with writable rootfs when readOnlyRootFilesystem=false",
        ),
        case(
            {"readOnlyRootFilesystem": True},
            "echo x >/file",
            "sh: can't create /file: Read-only file system",
            of="[sig-node] Kubelet when scheduling a read only busybox container should not write to root filesystem",
        ),
        case(
            {"allowPrivilegeEscalation": False, "runAsUser": 1000},
            "grep NoNewPrivs /proc/self/status",
            "NoNewPrivs:\t1",
            of="[sig-node] Security Context when creating containers with AllowPrivilegeEscalation should not allow privilege escalation when false",
        ),
    ],
)
def test_privileges(kube, security, script, expected):
    phase = "Failed" if security.get("readOnlyRootFilesystem") else "Succeeded"
    log = kube.run(pod("it", container(script, securityContext=security)), phase=phase)
    assert log.splitlines()[-1] == expected, log


@answers("[sig-node] Sysctls [LinuxOnly] [NodeConformance] should support sysctls [Environment:NotInUserNS]")
def test_sysctls(kube):
    sysctls = [{"name": "kernel.shm_rmid_forced", "value": "1"}]
    log = kube.run(pod("it", container("cat /proc/sys/kernel/shm_rmid_forced"), securityContext={"sysctls": sysctls}))
    assert log == "1\n"


@answers("[sig-node] Sysctls [LinuxOnly] [NodeConformance] should reject invalid sysctls")
def test_bad_sysctls(kube):
    sysctls = [{"name": name, "value": "1"} for name in ("foo-", "kernel.shmmax", "safe-and-unsafe", "bar..")]
    with pytest.raises(Refused) as refused:
        kube.create(pod("it", securityContext={"sysctls": sysctls}))
    assert refused.value.status == 422
    for index, name in enumerate(("foo-", "kernel.shmmax", "safe-and-unsafe", "bar..")):
        told = f'spec.securityContext.sysctls[{index}].name: Invalid value: \\"{name}\\"' in str(refused.value.body)
        assert told == (name in ("foo-", "bar..")), name


# ---- hosts and logs


@answers("[sig-node] Kubelet when scheduling an agnhost Pod with hostAliases should write entries to /etc/hosts")
def test_host_aliases(kube):
    aliases = [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]
    log = kube.run(pod("it", container("cat /etc/hosts"), hostAliases=aliases))
    assert "123.45.67.89\tfoo\tbar" in log.splitlines()


MANAGED = "# Kubernetes-managed hosts file."


@answers("[sig-node] KubeletManagedEtcHosts should test kubelet managed /etc/hosts file")
def test_managed_hosts(kube):
    """A container that mounts something there itself keeps that, as does a pod in the node's network."""
    volumes = [{"name": "hosts", "hostPath": {"path": "/etc/hosts", "type": "File"}}]
    beside, over = ({"name": "hosts", "mountPath": path} for path in ("/etc/hosts-original", "/etc/hosts"))
    names = {"main": [beside], "own": [beside, over]}
    containers = [container(IDLE, name=name, volumeMounts=mounts) for name, mounts in names.items()]
    kube.start(pod("managed", *containers, volumes=volumes))
    kube.start(pod("host", containers[0], volumes=volumes, hostNetwork=True))
    managed = {}
    for name, of in (("managed", "main"), ("managed", "own"), ("host", "main")):
        found = [kube.execute(name, "cat", path, container=of) for path in ("/etc/hosts", "/etc/hosts-original")]
        assert all(found)
        managed[name, of] = found[0].startswith(MANAGED) and found[0] != found[1]
    assert managed == {("managed", "main"): True, ("managed", "own"): False, ("host", "main"): False}


@answers("[sig-node] Kubelet when scheduling a busybox command in a pod should print the output to logs")
def test_logs(kube):
    assert kube.run(pod("it", container("echo 'Hello World'"))) == "Hello World\n"


@answers("[sig-node] Pods should contain environment variables for services")
def test_services_in_the_environment(kube):
    ports = [{"port": 8765, "targetPort": 8080}]
    address = kube.create({"kind": "Service", "metadata": meta("fooservice"), "spec": {"ports": ports}})["spec"][
        "clusterIP"
    ]
    prefix = "FOOSERVICE"
    numbers = itertools.count()

    def look():
        """A kubelet hears of services and of pods by themselves: a pod may be begun before it knows of the service."""
        found = lines(kube.run(pod(f"it-{next(numbers)}", container("env"))))
        return found if f"{prefix}_SERVICE_HOST" in found else None

    found = eventually(look)
    assert found[f"{prefix}_SERVICE_HOST"] == address
    assert found[f"{prefix}_SERVICE_PORT"] == found[f"{prefix}_PORT_8765_TCP_PORT"] == "8765"
    assert found[f"{prefix}_PORT"] == found[f"{prefix}_PORT_8765_TCP"] == f"tcp://{address}:8765"
    assert found[f"{prefix}_PORT_8765_TCP_PROTO"] == "tcp"
    assert found[f"{prefix}_PORT_8765_TCP_ADDR"] == address
