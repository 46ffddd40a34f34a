"""For how long old revisions can be read."""

from kubeshim.control_plane.api_server.background import compaction


def test_a_revision_outlives_an_interval_by_a_part_at_most():
    revisions = compaction.Revisions(10)
    forgotten = [revisions.pass_part(current) for current in range(11, 20)]
    # a state of revision 10 is superseded in the first part, and goes when the fifth is over
    assert forgotten == [0] * (compaction.PARTS - 1) + [10, 11, 12, 13, 14, 15]
