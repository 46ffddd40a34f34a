"""Whole values in messages, as the JSON of upstream's unversioned structs."""

import pytest

from kubeshim.machinery.validation import differences, fields, go_values

ROWS = [
    (go_values.CLAIM_SPEC, {"accessModes": ["ReadWriteOnce"], "selector": {"matchLabels": {"b": "1", "a": "<"}}},
     '{"AccessModes":["ReadWriteOnce"],"Selector":{"matchLabels":{"a":"\\u003c","b":"1"}},'
     '"Resources":{"Limits":null,"Requests":null},"VolumeName":"","StorageClassName":null,"VolumeMode":null,'
     '"DataSource":null,"DataSourceRef":null,"VolumeAttributesClassName":null}'),
    ("k8s.io.api.core.v1.Probe", {"httpGet": {"path": "/", "port": "web"}, "timeoutSeconds": 1},
     '{"Exec":null,"HTTPGet":{"Path":"/","Port":"web","Host":"","Scheme":"","HTTPHeaders":null,"Protocol":null},"TCPSocket":null,'
     '"GRPC":null,"InitialDelaySeconds":0,"TimeoutSeconds":1,"PeriodSeconds":0,"SuccessThreshold":0,'
     '"FailureThreshold":0,"TerminationGracePeriodSeconds":null}'),
    ("k8s.io.api.core.v1.EnvVar", {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
     '{"Name":"A","Value":"","ValueFrom":{"FieldRef":null,"ResourceFieldRef":null,"ConfigMapKeyRef":null,'
     '"SecretKeyRef":{"Name":"s","Key":"k","Optional":null},"FileKeyRef":null}}'),
    ("k8s.io.api.core.v1.RBDVolumeSource", {"monitors": ["m"], "image": "i"},
     '{"CephMonitors":["m"],"RBDImage":"i","FSType":"","RBDPool":"","RadosUser":"","Keyring":"","SecretRef":null,'
     '"ReadOnly":false}'),
]  # fmt: skip


@pytest.mark.parametrize(("message", "value", "expected"), ROWS)
def test_structs_have_all_their_fields_under_their_own_names(message, value, expected):
    assert fields.shown(go_values.internal(message, value)) == expected


def test_a_template_has_its_metadata_inside_and_what_is_of_the_host_in_the_security_context():
    found = go_values.internal(go_values.POD_TEMPLATE, {"metadata": {"labels": {"a": "b"}}, "spec": {"hostPID": True}})
    assert list(found) == ["labels", "Spec"]
    context = found["Spec"]["SecurityContext"]
    assert (context["HostPID"], context["HostNetwork"], context["HostUsers"]) == (True, False, None)


def test_differences_have_three_lines_around_them():
    old, new = {"accessModes": ["ReadWriteOnce"]}, {"accessModes": ["ReadWriteMany"]}
    assert differences.text(go_values.CLAIM_SPEC, old, new) == (
        '@@ -1,6 +1,6 @@\n {\n  "AccessModes": [\n-  "ReadWriteOnce"\n+  "ReadWriteMany"\n  ],\n  "Selector": null,\n'
        '  "Resources": {\n'
    )
