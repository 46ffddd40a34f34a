"""What a strategic merge patch is told whose result is no object of its kind."""

import pytest

from kubeshim.machinery import resources, schemas
from kubeshim.machinery.patches import restoring

DEPLOYMENT = schemas.definitions().schema(resources.GroupVersionKind("apps", "v1", "Deployment"))


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        ({"metadata": {"labels": "x"}}, "cannot restore map from string"),
        ({"metadata": {"labels": {"a": 1}}}, "cannot convert int64 to string"),
        ({"metadata": {"labels": {"a": True}}}, "unrecognized type: string"),
        ({"metadata": {"labels": {"a": {}}}}, "unrecognized type: string"),
        ({"metadata": []}, "cannot restore struct from: slice"),
        ({"spec": {"replicas": "three"}}, "unrecognized type: int32"),
        ({"spec": {"replicas": 1.5}}, "cannot convert float64 to int32"),
        ({"spec": {"paused": "yes"}}, "unrecognized type: bool"),
        ({"spec": {"strategy": {"type": 3}}}, "cannot convert int64 to v1.DeploymentStrategyType"),
        ({"spec": {"template": {"spec": {"containers": {}}}}}, "cannot restore slice from map"),
        ({"spec": {"template": {"spec": {"containers": ["x"]}}}}, "cannot restore struct from: string"),
        ({"spec": {"replicas": 2.0, "paused": None, "unknown": {}}}, ""),
    ],
)
def test_mistake(obj, text):
    assert restoring.mistake(obj, DEPLOYMENT) == text
