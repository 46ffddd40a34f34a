import copy
import datetime

import hypothesis
import orjson
import pytest
from hypothesis import strategies as st

from kubeshim.machinery import apply, errors, managed_fields, resources, schemas
from kubeshim.machinery.codecs import strict

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LATER = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


def schema(group, version, kind):
    return schemas.definitions().schema(resources.GroupVersionKind(group, version, kind))


DEPLOYMENT, POD, CONFIG_MAP = schema("apps", "v1", "Deployment"), schema("", "v1", "Pod"), schema("", "v1", "ConfigMap")


def track(old, new, manager="kubectl-create", what=DEPLOYMENT, version="apps/v1", subresource="", now=NOW):
    new = copy.deepcopy(new)
    strict.prune(new, what)
    apply.track_update(old, new, schema=what, manager=manager, api_version=version, subresource=subresource, now=now)
    return new


def applied(live, config, manager="me", what=DEPLOYMENT, version="apps/v1", subresource="", force=False, now=NOW):
    before = orjson.dumps([live, config])
    result = apply.apply(
        live, config, schema=what, manager=manager, api_version=version, subresource=subresource, force=force, now=now
    )
    assert orjson.dumps([live, config]) == before, "arguments are left alone"
    return result


def owned(obj, manager, operation="Update"):
    found = [
        e for e in obj["metadata"].get("managedFields", ()) if (e["manager"], e["operation"]) == (manager, operation)
    ]
    return found[0]["fieldsV1"] if found else None


def deployment(replicas=3, image="nginx", **metadata):
    result = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default", **metadata},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "n", "image": image, "ports": [{"containerPort": 80}]}]},
            },
        },
    }  # fmt: skip
    if replicas is not None:
        result["spec"]["replicas"] = replicas
    return result


def config_map(data, **metadata):
    result = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **metadata}}
    return {**result, "data": data} if data else result


def test_a_created_deployment_is_owned_as_upstream_has_it():
    obj = track(None, deployment(labels={"app": "web"}))
    assert obj["metadata"]["managedFields"] == [{
        "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:replicas": {}, "f:selector": {},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:containers": {'k:{"name":"n"}': {
                        ".": {}, "f:image": {}, "f:name": {}, "f:resources": {},
                        "f:ports": {
                            ".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}},
                        },
                    }}},
                },
            },
        },
    }]  # fmt: skip


def test_a_custom_resource_is_compared_with_nothing():
    root = schemas.Schema(
        "object", {"spec": schemas.Schema("object", {"cron": schemas.Schema("string")}, preserve_unknown=True)},
        embedded_resource=True,
    )  # fmt: skip
    obj = {"apiVersion": "x/v1", "kind": "X", "spec": {"cron": "* *", "free": {"list": [1], "empty": {}}}}
    apply.track_update(None, obj, schema=root, manager="m", api_version="x/v1", subresource="", now=NOW)
    assert owned(obj, "m") == {
        "f:spec": {".": {}, "f:cron": {}, "f:free": {".": {}, "f:list": {}, "f:empty": {}}},
    }


def test_who_changes_a_field_owns_it_and_nobody_else_does():
    first = track(None, config_map({"a": "1", "b": "2"}), "one", CONFIG_MAP, "v1")
    second = copy.deepcopy(first)
    second["data"] = {"a": "9", "c": "3"}
    second = track(first, second, "two", CONFIG_MAP, "v1", now=LATER)
    assert owned(second, "one") == {"f:data": {}}
    assert owned(second, "two") == {"f:data": {"f:a": {}, "f:c": {}}}
    third = copy.deepcopy(second)
    third["data"]["a"] = "10"
    third = track(second, third, "two", CONFIG_MAP, "v1", now=LATER)
    assert [e["manager"] for e in third["metadata"]["managedFields"]] == ["one", "two"]


def test_writing_the_same_again_changes_nothing():
    first = track(None, deployment())
    same = track(first, copy.deepcopy(first), "other", now=LATER)
    assert same["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_a_client_that_drops_managed_fields_does_not_lose_them():
    first = track(None, deployment())
    second = copy.deepcopy(first)
    del second["metadata"]["managedFields"]
    second["spec"]["replicas"] = 5
    second = track(first, second, "scaler", now=LATER)
    assert owned(second, "scaler") == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owned(second, "kubectl-create")["f:spec"]


def test_an_empty_entry_resets_the_record_and_it_stays_off():
    first = track(None, deployment())
    reset = copy.deepcopy(first)
    reset["metadata"]["managedFields"] = [{}]
    reset = track(first, reset)
    assert "managedFields" not in reset["metadata"]
    changed = copy.deepcopy(reset)
    changed["spec"]["replicas"] = 1
    assert "managedFields" not in track(reset, changed)["metadata"]


def test_what_nobody_can_read_is_nobodys():
    """Versions of other releases are known; one that never was is dropped by whoever writes next."""

    def entry(manager, version):
        return {
            "manager": manager, "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:paused": {}}},
        }  # fmt: skip

    live = deployment(managedFields=[entry("old", "apps/v1beta1"), entry("never", "apps/v7")])
    new = track(live, deployment())
    assert [one["manager"] for one in new["metadata"]["managedFields"]] == ["old", "kubectl-create"]
    result = applied(live, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"labels": {"a": "b"}}})
    assert [one["manager"] for one in result["metadata"]["managedFields"]] == ["me", "old"]


def test_status_is_owned_through_its_own_endpoint_only():
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]},
           "status": {"phase": "Pending"}}  # fmt: skip
    first = track(None, pod, "kubectl", POD, "v1")
    assert "f:status" not in owned(first, "kubectl")
    running = copy.deepcopy(first)
    running["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    running = track(first, running, "kubelet", POD, "v1", "status")
    entry = running["metadata"]["managedFields"][1]
    assert (entry["manager"], entry["subresource"]) == ("kubelet", "status")
    assert entry["fieldsV1"] == {
        "f:status": {
            "f:conditions": {
                ".": {},
                'k:{"type":"Ready"}': {
                    ".": {}, "f:type": {}, "f:status": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {},
                },
            },
            "f:phase": {},
        }
    }  # fmt: skip


def test_old_updaters_are_folded_together():
    obj = track(None, config_map({"k": "0"}), "first", CONFIG_MAP, "v1")
    for number in range(14):
        changed = copy.deepcopy(obj)
        changed["data"][f"k{number}"] = "x"
        now = NOW + datetime.timedelta(minutes=number + 1)
        obj = track(obj, changed, f"manager{number:02}", CONFIG_MAP, "v1", now=now)
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == managed_fields.MAX_UPDATE_MANAGERS
    assert entries[0]["manager"] == "ancient-changes"
    assert {"f:k", "f:k0", "f:k1"} <= entries[0]["fieldsV1"]["f:data"].keys()


def test_apply_creates():
    obj = applied(None, deployment())
    assert obj["spec"] == deployment()["spec"]
    assert obj["metadata"]["managedFields"][0]["operation"] == "Apply"
    assert owned(obj, "me", "Apply")["f:spec"]["f:template"]["f:metadata"] == {"f:labels": {"f:app": {}}}


def test_a_conflict_names_field_and_manager():
    live = track(None, deployment(), "kubectl-client-side-apply")
    with pytest.raises(errors.Conflict) as caught:
        applied(live, deployment(replicas=5))
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    )
    assert list(caught.value.causes) == [{
        "reason": "FieldManagerConflict", "field": ".spec.replicas",
        "message": 'conflict with "kubectl-client-side-apply" using apps/v1',
    }]  # fmt: skip
    with pytest.raises(errors.Conflict) as many:
        applied(live, deployment(replicas=5, image="other"))
    assert many.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl-client-side-apply" using apps/v1:\n'
        '- .spec.replicas\n- .spec.template.spec.containers[name="n"].image'
    )


def test_force_takes_the_field_and_equal_values_are_shared():
    live = track(None, deployment(), "other")
    obj = applied(live, deployment(replicas=5), force=True)
    assert obj["spec"]["replicas"] == 5
    assert "f:replicas" not in owned(obj, "other")["f:spec"]
    assert "f:selector" in owned(obj, "other")["f:spec"]
    assert "f:selector" in owned(obj, "me", "Apply")["f:spec"]


def test_what_is_no_longer_applied_is_removed_unless_somebody_else_owns_it():
    obj = applied(None, config_map({"mine": "1", "shared": "2"}, labels={"l": "1"}), what=CONFIG_MAP, version="v1")
    obj = applied(obj, config_map({"shared": "2"}), "them", CONFIG_MAP, "v1")
    obj = applied(obj, config_map({}), what=CONFIG_MAP, version="v1", now=LATER)
    assert obj["data"] == {"shared": "2"}
    assert obj["metadata"]["name"] == "c"
    assert not obj["metadata"].get("labels")


def test_list_elements_are_merged_by_key_and_removed_with_their_last_owner():
    def ports(*numbers):
        config = deployment(replicas=None)
        config["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": n} for n in numbers]
        return config

    def numbers(obj):
        return [p["containerPort"] for p in obj["spec"]["template"]["spec"]["containers"][0].get("ports") or ()]

    obj = applied(None, ports(80, 81))
    obj = applied(obj, ports(82), "them", force=True)
    assert numbers(obj) == [80, 81, 82]
    obj = applied(obj, ports(81))
    assert numbers(obj) == [81, 82]


def test_the_first_apply_records_who_was_there_before():
    live = config_map({"a": "1"}, uid="u", resourceVersion="1")
    with pytest.raises(errors.Conflict, match=r'conflict with "before-first-apply" using v1: \.data\.a'):
        applied(live, config_map({"a": "2"}), what=CONFIG_MAP, version="v1")
    obj = applied(live, config_map({"b": "2"}), what=CONFIG_MAP, version="v1")
    assert owned(obj, "before-first-apply") == {"f:data": {".": {}, "f:a": {}}}


def test_kubectl_takes_over_from_client_side_apply_without_force():
    config = config_map({"a": "1", "b": "1"})
    text = orjson.dumps(config).decode()
    live = track(None, config_map({"a": "1", "b": "1"}, annotations={apply.LAST_APPLIED: text}),
                 "kubectl-client-side-apply", CONFIG_MAP, "v1")  # fmt: skip
    obj = applied(live, config_map({"a": "2", "b": "1"}), "kubectl", CONFIG_MAP, "v1")
    assert obj["data"]["a"] == "2"
    assert orjson.loads(obj["metadata"]["annotations"][apply.LAST_APPLIED])["data"] == {"a": "2", "b": "1"}
    edited = copy.deepcopy(live)
    edited["data"]["a"] = "9"
    edited = track(live, edited, "kubectl-edit", CONFIG_MAP, "v1")
    with pytest.raises(errors.Conflict, match="kubectl-edit"):
        applied(edited, config_map({"a": "2", "b": "1"}), "kubectl", CONFIG_MAP, "v1")


def test_applying_the_same_again_keeps_the_time():
    obj = applied(None, deployment())
    again = applied(obj, deployment(), now=LATER)
    assert again == obj


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"spec": {"foo": 1}}, 500, "failed to create typed patch object (/; apps/v1, Kind=Deployment): "
                                    ".spec.foo: field not declared in schema"),
        ({"spec": {"replicas": "3"}}, 500, "failed to create typed patch object (/; apps/v1, Kind=Deployment): "
                                           ".spec.replicas: expected numeric (int or float), got &{3}"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}}, 500,
         "failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.template.spec.containers: "
         'duplicate entries for key [name="a"]'),
        ({"spec": {"template": {"spec": {"containers": [{"image": "a"}]}}}}, 500,
         "failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.template.spec.containers: "
         'element 0: associative list with keys has an element that omits key field "name" '
         "(and doesn't have default value)"),
    ],
)  # fmt: skip
def test_refusals(change, code, message):
    with pytest.raises(errors.APIStatusError) as caught:
        applied(None, {"apiVersion": "apps/v1", "kind": "Deployment", **change})
    assert (caught.value.status_code, caught.value.message) == (code, message)


DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]), max_size=4)


@hypothesis.given(st.lists(st.tuples(st.sampled_from(["x", "y", "z"]), DATA), min_size=1, max_size=6))
def test_laws_of_forced_apply(steps):
    """A configuration holds after it was applied; each field there has an owner, and each owner's field is there."""
    obj, last = None, {}
    for manager, data in steps:
        obj = applied(obj, config_map(data), manager, CONFIG_MAP, "v1", force=True)
        last[manager] = data
        assert data.items() <= (obj.get("data") or {}).items()
        entries = obj["metadata"].get("managedFields", [])
        fields = {key[2:] for entry in entries for key in entry["fieldsV1"].get("f:data", {}) if key != "."}
        assert fields == set(obj.get("data") or {})
        assert applied(obj, config_map(data), manager, CONFIG_MAP, "v1") == obj


@hypothesis.given(st.lists(st.tuples(st.sampled_from(["x", "y"]), DATA), min_size=1, max_size=6))
def test_laws_of_updates(steps):
    """Every field has exactly one owner among updaters: whoever wrote it last."""
    obj, writer = None, {}
    for manager, data in steps:
        before = (obj or {}).get("data") or {}
        obj = track(obj, config_map(data, managedFields=(obj or {"metadata": {}})["metadata"].get("managedFields")),
                    manager, CONFIG_MAP, "v1")  # fmt: skip
        writer = {key: manager if before.get(key) != value else writer[key] for key, value in data.items()}
        if "managedFields" not in obj["metadata"]:
            return
        owners = {
            key[2:]: entry["manager"]
            for entry in obj["metadata"]["managedFields"]
            for key in entry["fieldsV1"].get("f:data", {})
            if key != "."
        }
        assert owners == writer


def env(*pairs):
    config = deployment(replicas=None)
    config["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": n, "value": v} for n, v in pairs]
    return config


def env_of(obj):
    return [(e["name"], e["value"]) for e in obj["spec"]["template"]["spec"]["containers"][0]["env"]]


def test_duplicate_keys_of_live_lists_survive():
    live = track(None, env(("a", "1"), ("a", "2"), ("b", "1")), "edit")
    obj = applied(live, env(("c", "3")))
    assert env_of(obj) == [("a", "1"), ("a", "2"), ("b", "1"), ("c", "3")]
    changed = copy.deepcopy(live)
    changed["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = "9"
    changed = track(live, changed, "other", now=LATER)
    element = owned(changed, "other")["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"n"}']["f:env"]
    assert element == {'k:{"name":"a"}': {}}
    assert env_of(applied(live, env(("a", "5")), force=True)) == [("a", "5"), ("b", "1")]


@pytest.mark.parametrize(
    ("live", "config", "merged"),
    [
        ("abc", "bx", "abcx"),
        ("abc", "ca", "bca"),
        ("ab", "xb", "axb"),
        ("abcd", "dxb", "acdxb"),
        ("", "ba", "ba"),
        ("ab", "", "ab"),
    ],
)
def test_the_order_of_merged_lists(live, config, merged):
    there = track(None, env(*((name, "1") for name in live)), "other")
    obj = applied(there, env(*((name, "1") for name in config)))
    assert "".join(name for name, _ in env_of(obj)) == merged


def test_unsound_records_from_clients_are_not_believed():
    first = track(None, deployment())
    for broken in ({"fieldsV1": {"spec": {}}}, {"operation": "Frob"}, {"fieldsType": ""}):
        second = copy.deepcopy(first)
        second["metadata"]["managedFields"][0].update(broken)
        assert track(first, second)["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_applying_through_the_status_endpoint_leaves_the_rest_alone():
    live = track(None, deployment(), "other")
    obj = applied(live, {**deployment(replicas=9), "status": {"replicas": 1}}, subresource="status")
    assert obj["spec"]["replicas"] == 3
    assert obj["metadata"]["managedFields"][0]["fieldsV1"] == {"f:status": {"f:replicas": {}}}
    assert "f:status" not in owned(applied(None, {**deployment(), "status": {"replicas": 1}}), "me", "Apply")


def test_conflicts_go_by_manager_then_by_field():
    live = track(None, config_map({"a": "1", "b": "1"}), manager="zoe", what=CONFIG_MAP, version="v1")
    live = applied(live, config_map({"b": "1", "c": "1"}), manager="amy", what=CONFIG_MAP, version="v1")
    with pytest.raises(errors.Conflict) as caught:
        applied(live, config_map({"a": "2", "b": "2", "c": "2"}), what=CONFIG_MAP, version="v1")
    assert str(caught.value) == (
        'Apply failed with 4 conflicts: conflicts with "amy":\n- .data.b\n- .data.c\n'
        'conflicts with "zoe" using v1:\n- .data.a\n- .data.b'
    )


def test_who_joins_and_changes_nothing_has_no_time():
    live = applied(None, config_map({"a": "1"}), what=CONFIG_MAP, version="v1")
    joined = applied(live, config_map({"a": "1"}), manager="you", what=CONFIG_MAP, version="v1", now=LATER)
    assert [(e["manager"], e.get("time")) for e in joined["metadata"]["managedFields"]] == [
        ("you", None), ("me", "2026-01-01T00:00:00Z"),
    ]  # fmt: skip


def test_who_was_there_before_is_recorded_for_the_endpoint_alone():
    live = {**deployment(), "status": {"replicas": 1}}
    config = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "status": {"readyReplicas": 1},
    }
    entries = applied(live, config, subresource="status")["metadata"]["managedFields"]
    assert [(e["manager"], e["subresource"], e["fieldsV1"]) for e in entries] == [
        ("me", "status", {"f:status": {"f:readyReplicas": {}}}),
        ("before-first-apply", "status", {"f:status": {"f:replicas": {}}}),
    ]


ENTRY = {
    "manager": "m",
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:data": {}},
}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([], []),
        ([{}], []),
        ([{**ENTRY, "time": "1"}, {**ENTRY, "time": "2"}], [{**ENTRY, "time": "2"}]),
        ([ENTRY, {**ENTRY, "manager": "n", "fieldsV1": {}}], [ENTRY]),
        ([{**ENTRY, "apiVersion": ""}], ["live"]),
        ([{**ENTRY, "operation": "Patch"}], ["live"]),
    ],
)
def test_records_edited_by_clients(given, kept):
    live = [{**ENTRY, "manager": "live"}]
    found = managed_fields.current({"metadata": {"managedFields": live}}, {"metadata": {"managedFields": given}})
    assert found == (live if kept == ["live"] else kept)


def ports(*ports):
    return {"spec": {"containers": [{"name": "n", "env": [{"name": name, "value": value} for name, value in ports]}]}}


def test_elements_that_are_there_twice_are_owned_as_a_mark():
    base = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}

    def env(obj, manager):
        fields = owned(obj, manager)
        return fields["f:spec"]["f:containers"]['k:{"name":"n"}']["f:env"] if fields else None

    once = track(None, {**base, **ports(("A", "1"), ("B", "1"))}, manager="one", what=POD, version="v1")
    twice = {**once, **ports(("A", "1"), ("A", "2"), ("B", "1"))}
    twice = track(once, twice, manager="two", what=POD, version="v1")
    whole = {".": {}, "f:name": {}, "f:value": {}}
    assert env(twice, "one") == {".": {}, 'k:{"name":"B"}': whole}
    assert env(twice, "two") == {'k:{"name":"A"}': {}}
    again = track(twice, {**twice, **ports(("A", "1"), ("B", "1"))}, manager="three", what=POD, version="v1")
    assert (env(again, "two"), env(again, "three")) == (None, {'k:{"name":"A"}': whole})


CUSTOM = schemas.from_structural({
    "type": "object",
    "properties": {
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    },
})  # fmt: skip


@pytest.mark.parametrize(
    ("live", "config", "merged"),
    [
        ({"set": ["a"]}, {"set": None}, {"set": ["a"]}),
        ({"free": {"a": {"b": 1}}}, {"free": {"a": None}}, {"free": {"a": {"b": 1}}}),
        ({"free": {"a": {"b": 1}}}, {"free": None}, {"free": {"a": {"b": 1}}}),
        ({"free": {"a": {}}}, {"free": {"a": None}}, {"free": {"a": None}}),
        ({"free": {"a": [1]}}, {"free": {"a": None}}, {"free": {"a": None}}),
    ],
)
def test_applied_nulls(live, config, merged):
    named = {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "c"}}
    live = track(None, {**named, **live}, what=CUSTOM, version="g/v1")
    found = applied(live, {**named, **config}, what=CUSTOM, version="g/v1", force=True)
    assert {key: value for key, value in found.items() if key not in named} == merged


def test_what_pruning_empties_is_null_and_its_parent_stays():
    named = {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "c"}}
    spec = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}}
    schema = schemas.from_structural({"type": "object", "properties": {"spec": spec}})
    live = applied(None, {**named, "spec": {"a": {"b": "1"}}}, what=schema, version="g/v1")
    assert applied(live, {**named, "spec": {"a": {}}}, what=schema, version="g/v1")["spec"] == {"a": None}
