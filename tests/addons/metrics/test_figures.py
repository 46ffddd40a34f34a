"""From a kubelet's text to usage: what is read, which windows count, when kubelets are asked."""

import pytest

from kubeshim import clock
from kubeshim.addons.metrics import answers, rates, samples, scraper

TEXT = """# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total {cpu} 1000
node_memory_working_set_bytes 2048
container_cpu_usage_seconds_total{{container="a",namespace="n",pod="p"}} {cpu}
container_memory_working_set_bytes{{container="a",namespace="n",pod="p"}} 1024
container_start_time_seconds{{container="a",namespace="n",pod="p"}} {started}
container_cpu_usage_seconds_total{{container="half",namespace="n",pod="q"}} 1
resource_scrape_error 0
"""


def reading(cpu, taken, started=1.0):
    return samples.read(TEXT.format(cpu=cpu, started=started), taken)


def test_what_a_kubelet_says():
    found = reading(12.5, 100.0)
    assert found.node == samples.Sample(12.5, 2048)
    assert found.containers == {("n", "p", "a"): samples.Sample(12.5, 1024, 1.0)}


@pytest.mark.parametrize(
    ("before", "now", "node", "container"),
    [
        (reading(10, 100.0), reading(12, 110.0), (200_000_000, 10.0), (200_000_000, 10.0)),
        (reading(10, 100.0), reading(12, 100.5), None, None),
        (None, reading(12, 1000.0), None, None),
        # young: counts from its start
        (None, reading(3, 1000.0, started=990.0), None, (300_000_000, 10.0)),
        # began anew between the two
        (reading(10, 980.0, started=1.0), reading(3, 1000.0, started=990.0), None, (300_000_000, 10.0)),
    ],
)
def test_usage_is_growth_over_the_window(before, now, node, container):
    def told(usage):
        return usage and (usage.cpu, usage.window)

    found = rates.usage(before, now)
    assert told(found.node) == node
    assert told(found.pods.get(("n", "p"), {}).get("a")) == container


class Kubelets:
    """Of two nodes, of which one does not answer; both have used half a core ever since."""

    def __init__(self, time):
        self.time, self.asked = time, []

    def nodes(self):
        return ["here", "gone"]

    def read(self, node):
        self.asked.append(node)
        if node == "gone":
            raise OSError("no route")
        return TEXT.format(cpu=self.time.monotonic() / 2, started=1.0)


def test_kubelets_are_asked_only_when_somebody_asks_and_figures_are_old():
    time = clock.FakeClock()
    kubelets = Kubelets(time)
    figures = scraper.Scraper(kubelets, time, time.step)
    found = figures.usage()
    assert list(found) == ["here"] and found["here"].node.cpu == 500_000_000  # of a pair, a second apart
    assert kubelets.asked.count("here") == 2
    time.step(5)
    assert figures.usage() is found
    figures.usage(oldest=2.0)
    assert kubelets.asked.count("here") == 3
    time.step(20)
    assert figures.usage()["here"].node.window == 20.0
    time.step(scraper.STALE + 1)
    assert figures.usage()["here"].node.window == scraper.PAIR_SECONDS


def test_objects_and_tables():
    pod = {"metadata": {"name": "p", "namespace": "n", "labels": {"a": "b"}}}
    used = {"x": rates.Usage(1_500_000, 2048, 0.0, 61.5), "w": rates.Usage(500_000, 100, 0.0, 61.5)}
    made = answers.pod_metrics(pod, used)
    assert made["containers"] == [
        {"name": "w", "usage": {"cpu": "500u", "memory": "100"}},
        {"name": "x", "usage": {"cpu": "1500u", "memory": "2Ki"}},
    ]
    assert (made["timestamp"], made["window"]) == ("1970-01-01T00:00:00Z", "1m1.5s")
    table = answers.table("pods", [made])
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
    assert table["rows"][0]["cells"] == ["p", "2m", "2148", "1m1.5s"]
