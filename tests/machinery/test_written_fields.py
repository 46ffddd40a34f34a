"""Which fields an endpoint writes."""

import pytest

from kubeshim.machinery import schemas, written_fields

FIELDS = {
    "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
    "f:spec": {
        "f:containers": {
            'k:{"name":"c"}': {".": {}, "f:image": {}, "f:resources": {".": {}, "f:limits": {}}},
            'k:{"name":"d"}': {".": {}, "f:name": {}},
        },
        "f:ephemeralContainers": {'k:{"name":"e"}': {".": {}, "f:name": {}}},
    },
    "f:status": {"f:phase": {}},
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            written_fields.Only(("spec.ephemeralContainers",)),
            {"f:spec": {"f:ephemeralContainers": FIELDS["f:spec"]["f:ephemeralContainers"]}},
        ),
        (
            written_fields.Only(("spec.containers.*.resources", "spec.containers.*.resizePolicy")),
            {"f:spec": {"f:containers": {'k:{"name":"c"}': {"f:resources": {".": {}, "f:limits": {}}}}}},
        ),
        (("spec", "metadata.labels"), {"f:status": {"f:phase": {}}}),
        ((), FIELDS),
    ],
)
def test_what_is_left(rule, expected):
    assert written_fields.of(rule, schemas.Schema("object"), "status").of(FIELDS) == expected


def test_what_a_part_owns_is_asked_for_whole():
    """The endpoint puts back what it does not own; which configuration is refused is told by the rest of it."""
    part = written_fields.Only(("spec.ephemeralContainers",))
    assert written_fields.of(part, schemas.Schema("object"), "x").asks("status")
    assert not written_fields.of(("spec",), schemas.Schema("object"), "status").asks("spec")
