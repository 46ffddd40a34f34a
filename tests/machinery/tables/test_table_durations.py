import datetime

import pytest

from kubeshim.machinery.tables import durations

DAY = 86400


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-2, "<invalid>"), (-1, "0s"), (-0.5, "0s"), (0, "0s"), (1.9, "1s"), (119, "119s"), (120, "2m"), (199, "3m19s"),
        (599, "9m59s"), (600, "10m"), (659, "10m"), (10799, "179m"), (10800, "3h"), (10860, "3h1m"), (28799, "7h59m"),
        (28800, "8h"), (2 * DAY - 1, "47h"), (2 * DAY, "2d"), (2 * DAY + 3600, "2d1h"), (8 * DAY - 1, "7d23h"),
        (8 * DAY, "8d"), (729 * DAY, "729d"), (730 * DAY, "2y"), (731 * DAY, "2y1d"), (8 * 365 * DAY, "8y"),
    ],
)  # fmt: skip
def test_human(seconds, expected):
    assert durations.human(datetime.timedelta(seconds=seconds)) == expected
