"""Prometheus' text format, of what is counted."""

import threading

from kubeshim.wire import exposition, process_metrics


def test_a_counter_without_labels_begins_at_nothing():
    counted = exposition.Counter("syncs_total", "Times.")
    assert exposition.text(counted.lines()) == "# HELP syncs_total Times.\n# TYPE syncs_total counter\nsyncs_total 0\n"


def test_a_counter_with_labels_tells_what_was_seen():
    counted = exposition.Counter("asked_total", "Times.", ("verb", "path"))
    assert list(counted.lines()) == []
    counted.add("GET", 'a"b\\c\nd')
    counted.add("GET", 'a"b\\c\nd', amount=1.5)
    assert list(counted.lines())[2:] == ['asked_total{verb="GET",path="a\\"b\\\\c\\nd"} 2.5']


def test_a_histogram_counts_all_that_is_at_most_its_bounds():
    took = exposition.Histogram("took_seconds", "Time.", (0.1, 1, 10), ("verb",))
    for seconds in (0.1, 0.2, 11):
        took.observe(seconds, "GET")
    assert list(took.lines()) == [
        "# HELP took_seconds Time.",
        "# TYPE took_seconds histogram",
        'took_seconds_bucket{verb="GET",le="0.1"} 1',
        'took_seconds_bucket{verb="GET",le="1"} 2',
        'took_seconds_bucket{verb="GET",le="10"} 2',
        'took_seconds_bucket{verb="GET",le="+Inf"} 3',
        'took_seconds_sum{verb="GET"} 11.3',
        'took_seconds_count{verb="GET"} 3',
    ]


def test_large_bounds_are_written_as_go_does():
    sizes = exposition.Histogram("sizes", "Bytes.", (100_000, 1_000_000, 1_500_000.0, 1e9))
    buckets = [line for line in sizes.lines() if "_bucket" in line]
    assert buckets[:-1] == [f'sizes_bucket{{le="{bound}"}} 0' for bound in ("100000", "1e+06", "1.5e+06", "1e+09")]


def test_threads_lose_nothing():
    counted = exposition.Counter("asked_total", "Times.", ("verb",))
    threads = [threading.Thread(target=lambda: [counted.add("GET") for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(counted.lines())[-1] == 'asked_total{verb="GET"} 4000'


def test_a_process_tells_of_itself():
    found = dict(line.rsplit(" ", 1) for line in process_metrics.lines() if not line.startswith("#"))
    assert float(found["process_resident_memory_bytes"]) > 1 << 20
    assert float(found["process_open_fds"]) > 2
    build = list(process_metrics.build({"gitVersion": "v1", "major": "1"}))
    assert 'git_version="v1"' in build[-1]
    assert build[-1].endswith("} 1")
