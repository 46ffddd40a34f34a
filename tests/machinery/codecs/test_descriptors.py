"""The facts about Go's structs agree with the OpenAPI definitions of the same version."""

import pytest

from kubeshim.machinery import schemas, upstream
from kubeshim.machinery.codecs import descriptors


def structs():
    definitions = schemas.definitions()
    for name in upstream.v2():
        schema = definitions.schema_of(name)
        if schema.kind == "object" and schema.properties:
            yield name, schema


def test_every_struct_and_field_is_known():
    unknown = {
        name: set(schema.properties) - {"apiVersion", "kind"} - set(descriptors.presence_of(name))
        for name, schema in structs()
        if name != "io.k8s.apimachinery.pkg.version.Info"  # never in protobuf
    }
    assert {name: fields for name, fields in unknown.items() if fields} == {}


def test_nothing_is_known_that_does_not_exist():
    superfluous = {
        name: set(descriptors.presence_of(name)) - set(schema.properties)
        for name, schema in structs()
        if descriptors.presence_of(name)
    }
    assert {name: fields for name, fields in superfluous.items() if fields} == {}


@pytest.mark.parametrize(
    ("definition", "field", "presence"),
    [
        ("apps.v1.DeploymentSpec", "replicas", "pointer"),
        ("apps.v1.DeploymentSpec", "minReadySeconds", "value"),
        ("apps.v1.DeploymentSpec", "template", "struct"),
        ("core.v1.PodSpec", "containers", "always"),
        ("core.v1.Probe", "httpGet", "pointer"),
        ("core.v1.PersistentVolumeClaimSpec", "storageClassName", "pointer"),
    ],
)
def test_presence(definition, field, presence):
    assert descriptors.presence_of("io.k8s.api." + definition)[field] == presence
