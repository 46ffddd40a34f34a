import pytest

from kubeshim.machinery.cel import presence

RULE = {"x-kubernetes-validations": [{"rule": "self > 0"}]}


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, False),
        (RULE, True),
        ({"properties": {"a": {"items": RULE}}}, True),
        ({"additionalProperties": RULE}, True),
        ({"additionalProperties": True}, False),
        ({"allOf": [{"properties": {"a": RULE}}]}, True),
    ],
)
def test_rules_are_found_wherever_they_may_stand(schema, answer):
    assert presence.has_rules(schema) is answer
