import copy

import pytest

from kubeshim.machinery.validation import crds

SCHEMA = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
GOOD = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "conversion": {"strategy": "None"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
    },
    "status": {"storedVersions": ["v1"]},
}
LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def changed(**spec):
    crd = copy.deepcopy(GOOD)
    crd["spec"].update(spec)
    return crd


def one(**version):
    return changed(versions=[{**GOOD["spec"]["versions"][0], **version}])


def said(crd):
    return [str(problem) for problem in crds.validate_create(crd)]


def test_a_good_one():
    assert said(GOOD) == []


@pytest.mark.parametrize(
    ("crd", "complaints"),
    [
        (changed(group="example"),
         ['metadata.name: Invalid value: "widgets.example.com": must be spec.names.plural+"."+spec.group',
          'spec.group: Invalid value: "example": should be a domain with at least one dot']),
        (changed(scope="World"),
         ['spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"']),
        (changed(scope=None), ["spec.scope: Required value"]),
        (changed(names={**GOOD["spec"]["names"], "shortNames": ["A"]}),
         [f'spec.names.shortNames[0]: Invalid value: "A": {LABEL}']),
        (changed(names={**GOOD["spec"]["names"], "listKind": "Widget"}),
         ['spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same']),
        (changed(names={**GOOD["spec"]["names"], "kind": "Wid_get"}),
         ['spec.names.kind: Invalid value: "Wid_get": may have mixed case, but should otherwise match: ' + LABEL]),
        (changed(conversion={"strategy": "Else"}),
         ['spec.conversion.strategy: Unsupported value: "Else": supported values: "None", "Webhook"']),
        (changed(conversion={"strategy": "Webhook"}),
         ["spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
          "spec.conversion.conversionReviewVersions: Required value"]),
        (changed(conversion={"strategy": "Webhook", "webhook": {
            "clientConfig": {}, "conversionReviewVersions": ["v2", "v2"]}}),
         ["spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required",
          'spec.conversion.conversionReviewVersions[1]: Invalid value: "v2": duplicate version',
          'spec.conversion.conversionReviewVersions: Invalid value: ["v2","v2"]: must include at least one of v1, '
          "v1beta1"]),
        (changed(conversion={"strategy": "None", "webhook": {
            "clientConfig": {}, "conversionReviewVersions": ["v1"]}}),
         [f"spec.conversion.{field}: Forbidden: should not be set when strategy is not set to Webhook"
          for field in ("webhookClientConfig", "conversionReviewVersions")]),
        (one(schema=None), ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"]),
        (one(schema={"openAPIV3Schema": {}}),
         ["spec.validation.openAPIV3Schema.type: Required value: must not be empty at the root"]),
        (one(schema={"openAPIV3Schema": {"type": "object", "$schema": "x"}}),
         ["spec.validation.openAPIV3Schema: Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported"]),
        (one(schema={"openAPIV3Schema": {"type": "object", "nullable": True}}),
         ["spec.validation.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root"]),
        (one(deprecationWarning="x"),
         ['spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions']),
        (one(deprecated=True, deprecationWarning="a\tb"),
         ['spec.versions[0].deprecationWarning: Invalid value: "a\\tb": must only contain printable UTF-8 characters; '
          "non-printable character found at index 1"]),
        (one(subresources={"scale": {"specReplicasPath": ".a", "statusReplicasPath": ""}}),
         ['spec.subresources.scale.specReplicasPath: Invalid value: ".a": should be a json path under .spec',
          "spec.subresources.scale.statusReplicasPath: Required value"]),
        (one(additionalPrinterColumns=[{"name": "", "type": "x", "jsonPath": "a", "format": "y"}])
         , None),
        (one(selectableFields=[{"jsonPath": ".spec"}]),
         ['spec.selectableFields[0].jsonPath: Invalid value: ".spec": is an invalid path: does not refer to a valid '
          "field"]),
    ],
)  # fmt: skip
def test_what_is_wrong(crd, complaints):
    found = said(crd)
    if complaints is None:
        assert [text.split(":")[0] for text in found] == [
            f"spec.additionalPrinterColumns[0].{name}" for name in ("name", "type", "format", "JSONPath")
        ]
    else:
        assert found == complaints


def test_versions_that_differ_are_named():
    other = {"name": "v2", "served": True, "storage": False, "schema": {"openAPIV3Schema": {"type": "string"}}}
    crd = changed(versions=[*GOOD["spec"]["versions"], other])
    assert said(crd) == [
        'spec.versions[1].schema.openAPIV3Schema.type: Invalid value: "string": must be object at the root'
    ]


def test_selectable_fields_stand_beside_their_schema():
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"color": {"type": "string"}}}}
    one_ = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": schema,
        "selectableFields": [{"jsonPath": ".color"}],
    }
    two = {**one_, "name": "v2", "storage": False}
    assert said(changed(versions=[one_, two])) == []
    two["selectableFields"] = []
    assert said(changed(versions=[one_, two])) == [
        'spec.versions[0].selectableFields: Invalid value: "": selectableFields may only be set when '
        "version.schema.openAPIV3Schema is not included"
    ]


def test_a_shared_schema_is_one_with_status_if_any_version_has_one():
    schema = {"openAPIV3Schema": {"type": "object", "maxProperties": 3}}
    one_ = {"name": "v1", "served": True, "storage": True, "schema": schema}
    two = {**one_, "name": "v2", "storage": False, "subresources": {"status": {}}}
    assert len(said(changed(versions=[one_, two]))) == 1


def test_certificates_of_a_webhook_in_use_stay_certificates():
    def crd(bundle, established="True"):
        webhook = {
            "clientConfig": {"url": "https://a", "caBundle": bundle}, "conversionReviewVersions": ["v1"],
        }  # fmt: skip
        made = changed(conversion={"strategy": "Webhook", "webhook": webhook})
        made["status"]["conditions"] = [{"type": "Established", "status": established}]
        return made

    complaint = (
        'spec.conversion.webhookClientConfig.caBundle: Invalid value: "Q2c9PQ==": unable to load root certificates: '
        "unable to parse bytes as PEM block"
    )
    told = [str(problem) for problem in crds.validate_update(crd("Q2c9PQ=="), crd(None))]
    assert told == [complaint]
    assert crds.validate_update(crd("Q2c9PQ=="), crd("Q2c9PQ==")) == []
    assert crds.validate_update(crd("Q2c9PQ=="), crd(None, "False")) == said(crd("Q2c9PQ==")) == []


def test_exactly_one_is_stored():
    found = said(one(storage=False))
    assert found[0].startswith('spec.versions: Invalid value: [{"Name":"v1","Served":true,"Storage":false,')
    assert found[0].endswith(": must have exactly one version marked as storage version")
    assert len(found) == 1


def test_only_some_keywords_at_the_root_with_status():
    schema = {"openAPIV3Schema": {"type": "object", "maxProperties": 3}}
    found = said(one(schema=schema, subresources={"status": {}}))
    assert found[0].startswith('spec.validation.openAPIV3Schema: Invalid value: {"ID":"","Schema":"","Ref":null,')
    assert '"MaxProperties":3,"MinProperties":null,"Required":null,"Items":null,"AllOf":null,' in found[0]
    assert "XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the status" in found[0]


@pytest.mark.parametrize(
    ("group", "annotation", "complaint"),
    [
        ("x.k8s.io", None,
         'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval '
         'annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111'),
        ("x.k8s.io", "https://github.com/x", ""), ("x.k8s.io", "unapproved, testing", ""), ("example.com", None, ""),
    ],
)  # fmt: skip
def test_groups_of_kubernetes_need_approval(group, annotation, complaint):
    crd = changed(group=group)
    crd["metadata"]["name"] = f"widgets.{group}"
    crd["metadata"]["annotations"] = {crds.APPROVAL: annotation} if annotation else {}
    assert [str(problem) for problem in crds.validate_create(crd)] == ([complaint] if complaint else [])


def test_unknown_fields_cannot_be_preserved_for_the_whole():
    found = [str(problem) for problem in crds.validate_create(changed(preserveUnknownFields=True))]
    assert found == [
        "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields "
        "to true in spec.versions[*].schema instead"
    ]
