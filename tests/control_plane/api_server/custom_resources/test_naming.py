import pytest

from kubeshim.control_plane.api_server.custom_resources import conditions, naming

NAMES = {"plural": "as", "singular": "a", "kind": "A", "listKind": "AList", "shortNames": ["x", "y"]}


def crd(names, accepted=None, group="g.io", **status):
    return {
        "metadata": {"name": f"{names['plural']}.{group}"},
        "spec": {"group": group, "names": names},
        "status": {"acceptedNames": accepted or {}, **status},
    }


@pytest.mark.parametrize(
    ("others", "reason", "message", "missing"),
    [
        (naming.Taken(), "NoConflicts", "no conflicts found", []),
        (naming.Taken({"as"}), "PluralConflict", '"as" is already in use', ["plural"]),
        (naming.Taken(set(), {"AList"}), "ListKindConflict", '"AList" is already in use', ["listKind"]),
        (naming.Taken({"x", "y"}), "ShortNamesConflict", '["x" is already in use, "y" is already in use]',
         ["shortNames"]),
        (naming.Taken({"a"}, {"A"}), "KindConflict", '"A" is already in use', ["singular", "kind"]),
    ],
)  # fmt: skip
def test_conflicts(others, reason, message, missing):
    accepted, condition = naming.decide(crd(NAMES), others)
    assert (condition["reason"], condition["message"]) == (reason, message)
    assert accepted == {key: value for key, value in NAMES.items() if key not in missing}


def test_what_is_held_stays():
    held = crd({**NAMES, "singular": "b"}, accepted=NAMES)
    accepted, condition = naming.decide(held, naming.Taken({"as", "b", "x", "y"}))
    assert (condition["reason"], accepted["singular"]) == ("SingularConflict", "a")


def test_only_the_group_matters():
    crds = [crd(NAMES, NAMES), crd({**NAMES, "plural": "bs"}, {"plural": "bs"}), crd(NAMES, NAMES, group="h.io")]
    assert naming.taken(crds, "g.io", "as.g.io") == naming.Taken({"bs"})


def test_once_established_always_established():
    established = {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "m"}
    assert naming.established(crd(NAMES, conditions=[established]), False) == established
    assert naming.established(crd(NAMES), False)["reason"] == "NotAccepted"


def test_a_condition_keeps_its_time_while_its_status_is_the_same():
    obj = crd(NAMES)
    assert conditions.put(obj, conditions.condition("X", True, "A", "m"), "t1")
    assert not conditions.put(obj, conditions.condition("X", True, "A", "m"), "t2")
    assert conditions.put(obj, conditions.condition("X", True, "B", "m"), "t2")
    assert obj["status"]["conditions"][0]["lastTransitionTime"] == "t1"
    assert conditions.put(obj, conditions.condition("X", False, "B", "m"), "t3")
    assert obj["status"]["conditions"][0]["lastTransitionTime"] == "t3"
