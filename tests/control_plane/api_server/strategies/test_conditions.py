from kubeshim.control_plane.api_server.strategies import conditions

DENIED = {"type": "Denied", "status": "True", "reason": "No", "lastTransitionTime": "2020-01-01T00:00:00Z"}


def test_a_decision_stays_as_it_was_said():
    found = [{"type": "Denied", "status": "True", "reason": "Other"}, {"type": "Seen", "status": "True"}]
    conditions.keep(found, [DENIED], ("Issued", "Denied"))
    assert found == [DENIED, {"type": "Seen", "status": "True"}]
    one_more = [{"type": "Denied"}, {"type": "Denied"}]
    conditions.keep(one_more, [DENIED], ("Denied",))
    assert one_more == [{"type": "Denied"}, {"type": "Denied"}]


def test_a_condition_has_a_time():
    found = [{"type": "Denied", "status": "True"}, {"type": "Denied", "status": "False"}]
    conditions.date(found, [DENIED], "2026-01-01T00:00:00Z")
    assert [one["lastTransitionTime"][:4] for one in found] == ["2020", "2026"]
