"""What a container said at its end: the file it was given for that, or the end of its log."""

from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import container_start, labels, parts

_LONGEST = 4096
_LOG_LONGEST = 2048
_LOG_LINES = 80


def read(shared: parts.Parts, uid: str, container: runtime.Container) -> str:
    """Empty where it said nothing. Bytes that are not UTF-8 are replaced. Raises ``runtime.Unavailable``."""
    name = container.labels.get(labels.CONTAINER, "")
    path = container_start.message_path(shared, uid, name, labels.restarts(container.labels))
    text = ""
    try:
        with open(path, "rb") as file:
            data = file.read(_LONGEST + 1)
            text = data[:_LONGEST].decode("utf-8", "replace")
    except OSError:
        pass  # the pod's directory is gone already
    policy = container.labels.get(labels.MESSAGE_POLICY)
    if text or policy != "FallbackToLogsOnError" or container.exit_code == 0:
        return text
    return _end_of_log(shared, container.id)


def _end_of_log(shared: parts.Parts, container_id: str) -> str:
    options = runtime.LogOptions(tail_lines=_LOG_LINES)
    try:
        data = b"".join(line for _, line in shared.engine.logs(container_id, options))
    except runtime.Unavailable:
        raise  # it is asked for once: an engine that is away must not make it empty for good
    except runtime.RuntimeFailure:
        return ""
    return data[-_LOG_LONGEST:].decode("utf-8", "replace")
