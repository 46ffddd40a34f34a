"""The engine's images: pulled, made, found, removed."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.node.container_runtime import engine_http, engine_records, references, runtime


def pull(
    engine: engine_http.Engine,
    reference: str,
    auth: Mapping[str, str] | None,
    progress: Callable[[str], None] | None = None,
) -> str:
    """The id of what was pulled. Raises ``runtime.ImagePullFailure``."""
    try:
        parsed = references.parse(reference)
    except ValueError as error:
        raise runtime.ImagePullFailure(str(error), "InvalidImageName") from error
    query = {"fromImage": parsed.name, "tag": parsed.digest or parsed.tag}
    headers = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(dict(auth or {})).encode()).decode()}
    try:
        answer = engine.stream("POST", "/images/create", query, headers=headers)
        _read_progress(answer, progress)
    except engine_http.EngineError as error:
        raise runtime.ImagePullFailure(error.message) from error
    found = find(engine, reference)
    if found is None:
        raise runtime.ImagePullFailure(f"{reference} was pulled, but is not there")
    return found.id


def make(engine: engine_http.Engine, name: str, archive: bytes, changes: str) -> None:
    """``name`` (``REPOSITORY:TAG``) out of a root file system as tar; ``changes`` is a line of a Dockerfile."""
    repository, _, tag = name.partition(":")
    query = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": changes}
    _read_progress(engine.stream("POST", "/images/create", query, archive), None)


def find(engine: engine_http.Engine, reference: str) -> runtime.Image | None:
    try:
        return engine_records.image(engine.call("GET", f"/images/{reference}/json"))
    except engine_http.EngineError as error:
        if error.status == 404:
            return None
        raise


def every(engine: engine_http.Engine) -> list[runtime.Image]:
    return [engine_records.image(answer) for answer in engine.call("GET", "/images/json")]


def remove(engine: engine_http.Engine, reference: str) -> None:
    """Raises ``runtime.NotFound``."""
    try:
        engine.call("DELETE", f"/images/{reference}")
    except engine_http.EngineError as error:
        if error.status == 404:
            raise runtime.NotFound(error.message) from error
        raise


def _read_progress(answer: engine_http.Answer, progress: Callable[[str], None] | None) -> None:
    """Reads progress lines; errors come as lines of a successful answer."""
    buffer = b""
    try:
        for chunk in answer.chunks():
            *whole, buffer = (buffer + chunk).split(b"\n")
            for line in whole:
                if not line.strip():
                    continue
                entry = json.loads(line)
                if "error" in entry:
                    raise engine_http.EngineError(500, str(entry["error"]))
                if progress is not None:
                    progress(_progress_text(entry))
    except OSError as error:
        raise runtime.Unavailable(str(error)) from error
    finally:
        answer.connection.close()


def _progress_text(entry: Mapping[str, Any]) -> str:
    return " ".join(str(entry[key]) for key in ("id", "status", "progress") if entry.get(key))
