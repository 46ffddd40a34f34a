import pytest

from kubeshim.control_plane.api_server.admission.pod_security import evaluation, levels


def spec(*contexts, pod=None, **fields):
    """Containers a, b, … with these securityContexts."""
    containers = [{"name": "abc"[index], "securityContext": context} for index, context in enumerate(contexts or [{}])]
    return {"containers": containers, **({"securityContext": pod} if pod else {}), **fields}


def told(level, given, minor=levels.LATEST, **annotations):
    metadata = {"annotations": annotations.get("annotations", {})}
    return evaluation.details(evaluation.violations(levels.LevelVersion(level, minor), metadata, given))


def test_an_ordinary_pod_at_the_strictest_level():
    assert told("restricted", spec()) == (
        'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'
    )
    assert told("baseline", spec()) == told("privileged", spec(hostNetwork=True)) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (spec(hostNetwork=True, hostIPC=True), "host namespaces (hostNetwork=true, hostIPC=true)"),
        (
            spec({"privileged": True}, {"privileged": True}),
            'privileged (containers "a", "b" must not set securityContext.privileged=true)',
        ),
        (
            spec({"capabilities": {"add": ["NET_RAW", "CHOWN", "BPF"]}}),
            'non-default capabilities (container "a" must not include "BPF", "NET_RAW" in '
            "securityContext.capabilities.add)",
        ),
        (
            spec(volumes=[{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "nfs": {}}]),
            'hostPath volumes (volume "v")',
        ),
        (
            {"containers": [{"name": "a", "ports": [{"hostPort": 80}, {"hostPort": 443}, {"containerPort": 1}]}]},
            'hostPort (container "a" uses hostPorts 443, 80)',
        ),
        (
            {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "h"}}}]},
            'probe or lifecycle host (container "a" uses probe or lifecycle host "h")',
        ),
        (
            spec({"procMount": "Unmasked"}),
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            spec({"seLinuxOptions": {"type": "x", "user": "u"}}, pod={"seLinuxOptions": {"role": "r"}}),
            'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: type "x"; '
            "user may not be set; role may not be set)",
        ),
        (
            spec({"seccompProfile": {"type": "Unconfined"}}),
            'seccompProfile (container "a" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            spec({"appArmorProfile": {"type": "Unconfined"}}),
            'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")',
        ),
        (spec(pod={"sysctls": [{"name": "a.b"}, {"name": "net.ipv4.tcp_rmem"}]}), "forbidden sysctls (a.b)"),
        (
            spec({"windowsOptions": {"hostProcess": True}}, pod={"windowsOptions": {"hostProcess": True}}),
            'hostProcess (pod and container "a" must not set securityContext.windowsOptions.hostProcess=true)',
        ),
    ],
)
def test_baseline(given, expected):
    assert told("baseline", given) == expected


SAFE = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (spec(SAFE, volumes=[{"name": "v", "image": {}}, {"name": "w", "emptyDir": {}}]), ""),
        (
            spec(SAFE, volumes=[{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "nfs": {}}]),
            'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")',
        ),
        (
            spec({**SAFE, "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}}),
            'unrestricted capabilities (container "a" must not include "CHOWN" in securityContext.capabilities.add)',
        ),
        (
            spec({**SAFE, "runAsNonRoot": False}, pod={"runAsNonRoot": True}),
            'runAsNonRoot != true (container "a" must not set securityContext.runAsNonRoot=false)',
        ),
        (
            spec({**SAFE, "runAsUser": 0}, pod={"runAsUser": 0}),
            'runAsUser=0 (pod and container "a" must not set runAsUser=0)',
        ),
        (
            spec({**SAFE, "seccompProfile": {"type": "Unconfined"}}),
            'seccompProfile (container "a" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            spec({**SAFE, "procMount": "Unmasked"}, hostUsers=False),
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        (spec({**SAFE, "runAsUser": 0, "runAsNonRoot": None}, hostUsers=False), ""),
        (spec({"runAsNonRoot": True}, os={"name": "windows"}), ""),
    ],
)
def test_restricted(given, expected):
    assert told("restricted", given) == expected


SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"


@pytest.mark.parametrize(
    ("level", "minor", "given", "violated"),
    [
        ("restricted", 21, spec({**SAFE, "capabilities": {}}), False),
        ("restricted", 22, spec({**SAFE, "capabilities": {}}), True),
        ("restricted", 24, spec({"runAsNonRoot": True}, os={"name": "windows"}), True),
        ("baseline", 31, spec(pod={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), True),
        ("baseline", 32, spec(pod={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), False),
        ("baseline", 30, spec({"seLinuxOptions": {"type": "container_engine_t"}}), True),
        ("baseline", 31, spec({"seLinuxOptions": {"type": "container_engine_t"}}), False),
        ("baseline", 34, spec({"procMount": "Unmasked"}, hostUsers=False), True),
        ("baseline", 35, spec({"procMount": "Unmasked"}, hostUsers=False), False),
        ("baseline", 18, spec({"seccompProfile": {"type": "Unconfined"}}), False),
    ],
)
def test_versions(level, minor, given, violated):
    assert bool(told(level, given, minor)) == violated


def test_annotations_of_old():
    assert told("baseline", spec(), 18, annotations={SECCOMP: "unconfined"}) == (
        f'seccompProfile (forbidden annotation {SECCOMP}="unconfined")'
    )
    assert told("baseline", spec(), 19, annotations={SECCOMP: "unconfined"}) == ""


def test_labels():
    given = {"enforce": "strict", "enforce-version": "1.2", "warn": "baseline", "warn-version": "v1.30"}
    policy, problems = levels.policy({f"pod-security.kubernetes.io/{key}": value for key, value in given.items()})
    assert [str(one) for one in policy] == ["restricted:latest", "privileged:latest", "baseline:v1.30"]
    assert [str(problem) for problem in problems] == [
        'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, '
        "baseline, restricted",
        'metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: "1.2": must be "latest" or "v1.x"',
    ]
