import pytest

from kubeshim import pki
from kubeshim.addons.ingress import controller, haproxy, routes
from tests.addons.ingress import objects as make

WEB = make.service("web", {"name": "http", "port": 80}, {"name": "admin", "port": 9000})
SLICES = [
    make.endpoint_slice("web", "http", 8080, "10.1.0.2", "10.1.0.1"),
    make.endpoint_slice("web", "admin", 9001, "10.1.0.1"),
]


def build(*ingresses, services=(WEB,), slices=SLICES, secrets=(), classes=None):
    return routes.build(ingresses, classes or [make.ingress_class()], services, slices, secrets)


def test_named_and_numbered_ports_lead_to_the_same_endpoints():
    table = build(
        make.ingress(
            "one",
            make.rule(
                "A.example",
                make.path("/x", "web"),
                make.path("/y", "web", port="http"),
                make.path("/z", "web", port=9000),
            ),
        )
    )
    assert table.hosts == ("a.example",)
    assert set(table.prefix.values()) == {"default:web:80", "default:web:9000"}
    assert [(entry.name, entry.servers) for entry in table.backends] == [
        ("default:web:80", (("10.1.0.1", 8080), ("10.1.0.2", 8080))),
        ("default:web:9000", (("10.1.0.1", 9001),)),
    ]


@pytest.mark.parametrize(
    ("endpoints", "wanted"),
    [
        (["10.1.0.1", ("10.1.0.2", {"ready": False})], ["10.1.0.1"]),
        ([("10.1.0.1", {})], ["10.1.0.1"]),
        ([("10.1.0.1", {"ready": False, "serving": True, "terminating": True})], ["10.1.0.1"]),
        ([("10.1.0.1", {"ready": False, "serving": False, "terminating": True})], []),
    ],
)
def test_endpoints(endpoints, wanted):
    cluster = routes.Cluster([], [make.endpoint_slice("web", "http", 8080, *endpoints)], [])
    assert [server.address for server in cluster.servers("default/web", "http")] == wanted


def test_the_older_ingress_wins_and_other_classes_are_left_alone():
    table = build(
        make.ingress("b", make.rule("a.example", make.path("/", "web", port=9000)), created="2026-01-02T00:00:00Z"),
        make.ingress("c", make.rule("a.example", make.path("/", "web"))),
        make.ingress("d", make.rule("d.example", make.path("/", "web")), class_name="other"),
        make.ingress("e", make.rule("e.example", make.path("/", "web")), class_name=None),
        classes=[make.ingress_class(), make.ingress_class("other", "example.com/other")],
    )
    assert table.prefix == {("a.example", "/"): "default:web:80"}
    assert table.hosts == ("a.example",)


def test_default_backends_stand_behind_rules():
    table = build(
        make.ingress("a", make.rule("a.example", make.path("/x", "web")), defaultBackend=make.backend("web", 9000)),
        make.ingress("b", make.rule("a.example", make.path("/", "web")), created="2026-01-02T00:00:00Z"),
    )
    assert table.default == "default:web:9000"
    assert table.prefix[("a.example", "/")] == "default:web:80"


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (make.backend("none"), "service default/none does not exist"),
        (make.backend("web", "grpc"), "service default/web has no TCP port grpc"),
        (make.backend("out"), "service default/out is of type ExternalName, which leads out of the cluster"),
        ({"resource": {"kind": "Bucket", "name": "b"}}, "only Services can be backends"),
    ],
)
def test_what_cannot_be_served_is_told(backend, message):
    services = [WEB, make.service("out", type="ExternalName", externalName="example.com")]
    table = build(make.ingress("a", defaultBackend=backend), services=services)
    assert table.default == routes.UNSERVED
    assert table.problems == (routes.Problem("default/a", "BackendUnavailable", message),)


def test_certificates_are_checked_and_the_older_ingress_keeps_its_host():
    authority = pki.Authority.create("test")
    good = authority.issue("a", dns=["a.example"], usages=pki.SERVER)
    other = authority.issue("b", dns=["b.example"], usages=pki.SERVER)
    secrets = [make.secret("good", *good), make.secret("other", *other), make.secret("mixed", good[0], other[1])]
    table = build(
        make.ingress(
            "a", tls=[{"hosts": ["a.example"], "secretName": "good"}, {"hosts": ["m.example"], "secretName": "mixed"}]
        ),
        make.ingress(
            "b",
            tls=[{"hosts": ["a.example", "b.example"], "secretName": "other"}, {"secretName": "gone"}],
            created="2026-01-02T00:00:00Z",
        ),
        secrets=secrets,
    )
    assert [(entry.name, entry.hosts) for entry in table.certificates] == [
        ("default_a_0", ("a.example",)),
        ("default_b_0", ("b.example",)),
    ]
    assert [problem.message for problem in table.problems] == [
        "secret default/mixed: tls.key is not the key of tls.crt",
        "secret default/gone: does not exist",
    ]


def test_files():
    """Golden: what differs by what was asked for; the rest is the same for all."""
    ports = [
        {"name": "tls", "port": 443, "appProtocol": "https"},
        {"name": "h2c", "port": 81, "appProtocol": "kubernetes.io/h2c"},
    ]
    services = [WEB, make.service("safe", *ports)]
    slices = [*SLICES, make.endpoint_slice("safe", "tls", 8443, "fd00::1")]
    table = build(
        make.ingress(
            "a",
            make.rule("a.example", make.path("/a b/", "web"), make.path("/a", "web", "Exact", 9000)),
            make.rule("*.b.example", make.path("/", "safe", port=443), make.path("/h2c", "safe", port=81)),
            make.rule("", make.path("", "web", "ImplementationSpecific")),
        ),
        services=services,
        slices=slices,
    )
    found = haproxy.files(table, haproxy.Settings((3, 5), (4,), b"default", "haproxy", "haproxy"))
    config = found.pop("haproxy.cfg").decode()
    assert found == {
        "hosts.map": b"* *\n*.b.example *.b.example\na.example a.example\n",
        "exact.map": b"a.example/a default:web:9000\n",
        "prefix.map": b"*/ default:web:80\n"
        b"*.b.example/ default:safe:443\n"
        b"*.b.example/h2c/ default:safe:81\n"
        b"a.example/a%20b/ default:web:80\n",
        "certificates.list": b"default.pem\n",
        "default.pem": b"default",
    }
    assert "    user haproxy\n    group haproxy\n" in config
    assert "frontend http\n    bind fd@3\n    bind fd@5\n" in config
    assert "frontend https\n    bind fd@4 ssl crt-list certificates.list alpn h2,http/1.1\n" in config
    backends = config.partition('"503 Service Temporarily Unavailable"\n')[2]
    assert backends == (
        "\nbackend default:safe:443\n    server s0 [fd00::1]:8443 ssl verify none sni req.hdr(host)\n"
        "\nbackend default:safe:81\n"
        "\nbackend default:web:80\n    server s0 10.1.0.1:8080\n    server s1 10.1.0.2:8080\n"
        "\nbackend default:web:9000\n    server s0 10.1.0.1:9001\n"
    )


@pytest.mark.parametrize(
    ("shown", "ours", "wanted"),
    [
        (None, True, {"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}),
        ([{"ip": "10.0.0.1"}], True, None),
        ([{"ip": "10.0.0.1"}], False, {"status": {"loadBalancer": {"ingress": None}}}),
        ([{"ip": "10.0.0.9"}], False, None),
    ],
)
def test_status(shown, ours, wanted):
    obj = make.ingress("a") | {"status": {"loadBalancer": {"ingress": shown} if shown else {}}}
    assert controller.status_patch(obj, "10.0.0.1", ours=ours) == wanted
