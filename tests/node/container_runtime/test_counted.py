"""What a runtime's operations are counted as."""

import pytest

from kubeshim.node.container_runtime import counted, runtime


class Engine:
    def __getattr__(self, name):
        return lambda *_: name

    def remove_container(self, container_id):
        raise runtime.NotFound(container_id)


def test_operations_are_counted_and_their_failures_too():
    engine, lines = counted.counted(Engine())
    assert engine.containers({}) == engine.containers({}) == "containers"
    assert engine.cgroups_in("") == "cgroups_in"
    with pytest.raises(runtime.NotFound):
        engine.remove_container("x")
    text = "\n".join(lines())
    assert 'kubelet_runtime_operations_total{operation_type="list_containers"} 2' in text
    assert 'kubelet_runtime_operations_errors_total{operation_type="remove_container"} 1' in text
    assert 'kubelet_runtime_operations_errors_total{operation_type="list_containers"}' not in text
    assert 'kubelet_runtime_operations_duration_seconds_count{operation_type="remove_container"} 1' in text
