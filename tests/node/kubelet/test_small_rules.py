"""The kubelet's small pure rules: back-off, probe thresholds, QoS, files, credentials, security, admission."""

import base64
import json

import pytest

from kubeshim.node.kubelet import (
    admission,
    back_off,
    credentials,
    environment,
    files,
    images,
    probes,
    quality,
    security,
    status_manager,
)


def test_back_off_doubles_to_its_maximum_and_starts_anew():
    delays = back_off.BackOff(10, 300, 600)
    assert delays.remaining("k", 0, 0) == 0
    assert [delays.next("k", now) for now in (0, 20, 60, 120, 240, 500, 900)] == [10, 20, 40, 80, 160, 300, 300]
    assert delays.remaining("k", 1000, 1100) == 200 and delays.remaining("k", 1000, 1400) == 0
    assert delays.remaining("k", 1600, 1601) == 0
    assert delays.next("k", 1600) == 10
    assert [back_off.in_words(each) for each in (10, 80, 300)] == ["10s", "1m20s", "5m0s"]


@pytest.mark.parametrize(
    ("initial", "success", "failure", "outcomes", "results"),
    [
        (False, 1, 3, "1001000", [True, True, True, True, True, True, False]),
        (False, 2, 1, "1011", [False, False, False, True]),
        (True, 1, 3, "00100", [True, True, True, True, True]),
        (None, 1, 2, "00", [None, False]),
    ],
)
def test_probe_thresholds(initial, success, failure, outcomes, results):
    tally = probes.Tally(initial, success, failure)
    seen = []
    for outcome in outcomes:
        before = tally.result
        changed = tally.add(outcome == "1")
        assert changed == (tally.result is not before)
        seen.append(tally.result)
    assert seen == results


def pod(*resources, **spec):
    return {
        "metadata": {"uid": "u"},
        "spec": {"containers": [{"name": "c", "resources": r} for r in resources], **spec},
    }


FULL = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}


@pytest.mark.parametrize(
    ("resources", "kind", "score"),
    [
        ([{}], "BestEffort", 1000),
        ([FULL], "Guaranteed", -997),
        ([FULL, {}], "Burstable", 750),
        ([{"requests": {"cpu": "1"}}], "Burstable", 999),
        ([{"limits": FULL["limits"], "requests": {"cpu": "500m", "memory": "2Gi"}}], "Burstable", 500),
    ],
)
def test_quality_of_service(resources, kind, score):
    made = pod(*resources)
    assert quality.qos_class(made) == kind
    assert quality.oom_score(made, made["spec"]["containers"][0], 4 << 30) == score


def test_shares_and_quota():
    assert [quality.shares(each) for each in (0, 1, 100, 1000)] == [2, 2, 102, 1024]
    assert [quality.quota(each) for each in (0, 1, 500, 2000)] == [0, 1000, 50000, 200000]


def test_requests_of_a_pod_count_its_largest_step():
    made = pod({"requests": {"cpu": "1"}}, {"requests": {"cpu": "500m"}}, overhead={"cpu": "100m"})
    made["spec"]["initContainers"] = [
        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "200m"}}},
        {"name": "i", "resources": {"requests": {"cpu": "3"}}},
    ]
    assert quality.requested(made, "cpu") == 3300


HOST = files.Resolver(["1.1.1.1"], ["corp.example"], ["edns0"])


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "nameserver 10.96.0.10\nsearch n.svc.cluster.local svc.cluster.local cluster.local corp.example\n"
             "options ndots:5\n"),
        ({"dnsPolicy": "Default"}, "nameserver 1.1.1.1\nsearch corp.example\noptions edns0\n"),
        ({"hostNetwork": True}, "nameserver 1.1.1.1\nsearch corp.example\noptions edns0\n"),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"], "options": [{"name": "ndots", "value": "2"}]}},
         "nameserver 9.9.9.9\noptions ndots:2\n"),
    ],
)  # fmt: skip
def test_resolver(spec, text):
    made = {"metadata": {"namespace": "n"}, "spec": spec}
    assert files.resolver(made, HOST, ["10.96.0.10"], "cluster.local").text() == text


def test_hosts_file():
    spec = {"subdomain": "s", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["x", "y"]}]}
    made = {"metadata": {"name": "p", "namespace": "n"}, "spec": spec}
    text = files.hosts(made, ["10.0.0.2"], "cluster.local")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.0.0.2\tp.s.n.svc.cluster.local\tp\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n")


def test_credentials_fit_registry_and_path():
    auth = base64.b64encode(b"u:p").decode()
    auths = {
        "https://reg.example:5000/v2/": {"auth": auth},
        "reg.example:5000/team": {"username": "t", "password": "q"},
    }
    data = {".dockerconfigjson": base64.b64encode(json.dumps({"auths": auths}).encode()).decode()}
    found = credentials.find([{"data": data}], "reg.example:5000/team/app:1")
    assert [each["username"] for each in found] == ["t", "u"] and found[1]["password"] == "p"
    assert credentials.find([{"data": data}], "other.example/app") == []


@pytest.mark.parametrize(
    ("image", "given", "policy"),
    [("a", None, "Always"), ("a:latest", None, "Always"), ("a:1", None, "IfNotPresent"), ("a", "Never", "Never")],
)
def test_pull_policy(image, given, policy):
    assert images.pull_policy({"image": image, "imagePullPolicy": given}) == policy


@pytest.mark.parametrize(
    ("outer", "inner", "image", "user", "groups"),
    [
        ({}, {}, "app", "", ()),
        ({"runAsUser": 1, "fsGroup": 5, "supplementalGroups": [4]}, {}, "", "1", (4, 5)),
        ({"runAsUser": 1, "runAsGroup": 2}, {"runAsUser": 3}, "", "3:2", ()),
        ({"runAsGroup": 2}, {}, "app:x", "app:2", ()),
    ],
)
def test_users(outer, inner, image, user, groups):
    made = {"metadata": {"name": "p"}, "spec": {"securityContext": outer}}
    found = security.of(made, {"name": "c", "securityContext": inner}, image, security.Defaults(False, "/p"))
    assert (found.user, found.groups, found.seccomp) == (user, groups, "unconfined")


@pytest.mark.parametrize(
    ("context", "image", "words"),
    [({}, "", "image will run as root"), ({}, "app", "non-numeric user"), ({"runAsUser": 0}, "", "breaks non-root")],
)
def test_non_root_is_checked(context, image, words):
    made = {"metadata": {"name": "p"}, "spec": {"securityContext": {"runAsNonRoot": True, **context}}}
    with pytest.raises(environment.ConfigProblem, match=words):
        security.of(made, {"name": "c"}, image, security.Defaults(False, "/p"))


def test_localhost_profiles_stay_in_their_directory():
    profile = {"type": "Localhost", "localhostProfile": "../../etc/passwd"}
    made = {"metadata": {"name": "p"}, "spec": {"securityContext": {"seccompProfile": profile}}}
    with pytest.raises(environment.ConfigProblem, match="outside"):
        security.of(made, {"name": "c"}, "", security.Defaults(False, "/p/seccomp"))


NODE = {"metadata": {"name": "n", "labels": {"disk": "ssd"}}, "status": {"allocatable": {"cpu": "2", "pods": "3"}}}


@pytest.mark.parametrize(
    ("wanted", "others", "reason"),
    [
        (pod({"requests": {"cpu": "1"}}), [pod({"requests": {"cpu": "1"}})], None),
        (pod({"requests": {"cpu": "2"}}), [pod({"requests": {"cpu": "1"}})], "OutOfcpu"),
        (pod({"requests": {"x/y": "1"}}), [], "OutOfx/y"),
        (pod({}), [pod({})] * 3, "OutOfpods"),
        (pod({}, nodeSelector={"disk": "hdd"}), [], "NodeAffinity"),
        (pod({}, securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), [], "SysctlForbidden"),
        (pod({}, securityContext={"sysctls": [{"name": "net.ipv4.tcp_notsent_lowat", "value": "1"}]}), [], None),
        (pod({}, securityContext={"sysctls": [{"name": "kernel/shm_rmid_forced", "value": "1"}]}), [], None),
        (pod({}, os={"name": "windows"}), [], "PodOSNotSupported"),
        (pod({}, os={"name": "linux"}), [], None),
        (pod({}, nodeSelector={"kubernetes.io/os": "windows"}), [], "PodOSSelectorNodeLabelDoesNotMatch"),
        (pod({}, securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}), [], None),
    ],
)
def test_admission(wanted, others, reason):
    refusal = admission.refuse(wanted, others, NODE, ())
    assert (refusal[0] if refusal else None) == reason


@pytest.mark.parametrize(
    ("outer", "inner", "refused"),
    [
        (None, None, False),
        ("RuntimeDefault", None, True),
        (None, "Localhost", True),
        ("RuntimeDefault", "Unconfined", False),
        ("Unconfined", "RuntimeDefault", True),
    ],
)
def test_apparmor_where_there_is_none(outer, inner, refused):
    made = pod({}, securityContext={"appArmorProfile": {"type": outer}} if outer else {})
    made["spec"]["containers"][0]["securityContext"] = {"appArmorProfile": {"type": inner}} if inner else {}
    refusal = admission.refuse(made, [], NODE, (), apparmor=False)
    assert (refusal is not None and refusal[0] == "AppArmor") is refused


def with_port(address, protocol="TCP", port=80):
    made = pod({})
    made["spec"]["containers"][0]["ports"] = [
        {"hostIP": address, "hostPort": port, "containerPort": 1, "protocol": protocol}
    ]
    return made


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (with_port(""), with_port("1.1.1.1"), True),
        (with_port("1.1.1.2"), with_port("1.1.1.1"), False),
        (with_port(""), with_port("", "UDP"), False),
    ],
)
def test_host_ports_clash(one, other, clash):
    assert (admission.refuse(one, [other], NODE, ()) is not None) is clash


def test_status_patches_name_only_what_differs():
    old = {
        "phase": "Pending", "nominatedNodeName": "x", "reason": "r",
        "conditions": [{"type": "Ready", "status": "False", "reason": "why"}, {"type": "Other", "status": "True"}],
    }  # fmt: skip
    new = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "True"}],
    }
    assert status_manager.difference(old, new) == {
        "phase": "Running", "reason": None, "conditions": [{"reason": None, "type": "Ready", "status": "True"}],
    }  # fmt: skip
    assert status_manager.difference(new, new) == {}


@pytest.mark.parametrize(
    ("reference", "digests", "expected"),
    [
        ("web:1", [], "docker://sha256:1"),
        ("web:1", ["web@sha256:a"], "docker-pullable://web@sha256:a"),
        ("host:5000/web:1", ["web@sha256:a", "host:5000/web@sha256:b"], "docker-pullable://host:5000/web@sha256:b"),
        ("other:1", ["web@sha256:a"], "docker-pullable://web@sha256:a"),
        ("sha256:1", ["web@sha256:a"], "docker-pullable://web@sha256:a"),
    ],
)
def test_an_image_is_told_by_the_digest_of_the_repository_asked_for(reference, digests, expected):
    assert images.pullable("sha256:1", reference, digests) == expected


def sized(*containers, init=(), **spec):
    made = [{"name": str(n), "resources": entry} for n, entry in enumerate(containers)]
    before = [{"name": f"i{n}", "resources": entry} for n, entry in enumerate(init)]
    return {"metadata": {"uid": "u"}, "spec": {"containers": made, "initContainers": before, **spec}}


BOTH = {"requests": {"cpu": "500m", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "2Mi"}}


@pytest.mark.parametrize(
    ("pod", "shares", "quota", "memory"),
    [
        (sized({}), 2, 0, 0),
        (sized(BOTH, BOTH), 1024, 200_000, 4 << 20),
        (sized(BOTH, {}), 512, 0, 0),
        (sized(BOTH, init=[{"limits": {"cpu": "5", "memory": "9Mi"}}]), 512, 500_000, 9 << 20),
        (sized(BOTH, {}, resources={"limits": {"cpu": "3", "memory": "8Mi"}, "requests": {"cpu": "2"}}), 2048, 300_000,
         8 << 20),
        (sized(BOTH, overhead={"cpu": "500m", "memory": "1Mi"}), 1024, 150_000, 3 << 20),
    ],
)  # fmt: skip
def test_what_the_kernel_is_told_of_a_whole_pod(pod, shares, quota, memory):
    found = quality.pod_resources(pod, 7)
    assert (found.cpu_shares, found.cpu_quota, found.memory, found.pids) == (shares, quota, memory, 7)


def test_the_burstable_class_weighs_what_its_pods_ask_for():
    assert quality.class_shares([sized(BOTH), sized(BOTH), sized({})]) == 1024
    assert quality.class_shares([]) == 2
