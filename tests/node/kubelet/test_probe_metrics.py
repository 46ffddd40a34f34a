from kubeshim.node.kubelet import probe_metrics

POD = {"metadata": {"name": "web", "namespace": "shop", "uid": "u-1"}}
OTHER = {"metadata": {"name": "db", "namespace": "shop", "uid": "u-2"}}


def test_counts_by_result_and_durations_of_what_was_answered():
    metrics = probe_metrics.ProbeMetrics()
    for seconds in (0.004, 0.2):
        metrics.note("readiness", POD, "main", probe_metrics.SUCCESSFUL, seconds)
    metrics.note("readiness", POD, "main", probe_metrics.FAILED, 1.0)
    metrics.note("liveness", OTHER, "main", probe_metrics.UNKNOWN, 20.0)
    lines = metrics.text().splitlines()
    web = 'container="main",namespace="shop",pod="web",probe_type="Readiness"'
    db = 'container="main",namespace="shop",pod="db",probe_type="Liveness"'
    assert f'prober_probe_total{{{web},pod_uid="u-1",result="successful"}} 2' in lines
    assert f'prober_probe_total{{{web},pod_uid="u-1",result="failed"}} 1' in lines
    assert f'prober_probe_total{{{db},pod_uid="u-2",result="unknown"}} 1' in lines
    assert f'prober_probe_duration_seconds_bucket{{{web},le="0.005"}} 1' in lines
    assert f'prober_probe_duration_seconds_bucket{{{web},le="0.25"}} 2' in lines
    assert f"prober_probe_duration_seconds_sum{{{web}}} 0.204" in lines
    assert f'prober_probe_duration_seconds_bucket{{{db},le="10"}} 0' in lines
    assert f'prober_probe_duration_seconds_bucket{{{db},le="+Inf"}} 1' in lines


def test_a_pods_series_end_with_it():
    metrics = probe_metrics.ProbeMetrics()
    metrics.note("startup", POD, "main", probe_metrics.SUCCESSFUL, 0.1)
    metrics.note("startup", OTHER, "main", probe_metrics.SUCCESSFUL, 0.1)
    metrics.forget("u-1")
    assert "web" not in metrics.text()
    assert "db" in metrics.text()
    metrics.forget("u-2")
    assert metrics.text() == ""
