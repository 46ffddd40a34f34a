"""/statusz: since when the server runs, which version it is, and what else there is to look at. Text, or an object."""

import datetime
from collections.abc import Iterable, Mapping

from kubeshim import clock
from kubeshim.control_plane.api_server import request, response
from kubeshim.machinery.codecs import negotiation
from kubeshim.wire import process_metrics

PATH = "/statusz"
_NAME, _KIND = "apiserver", "Statusz"
_TEXT = "text/plain"
_WARNING = (
    "Warning: This endpoint is not meant to be machine parseable, "
    "has no formatting compatibility guarantees and is for debugging purposes only."
)
_CURRENT, _DEPRECATED = "v1beta1", "v1alpha1"
_OFFERS = negotiation.Offers(
    (negotiation.JSON, negotiation.YAML, _TEXT), converted_only=(negotiation.JSON, negotiation.YAML),
    tables=False, partial=False,
    converts=tuple(("config.k8s.io", version, _KIND) for version in (_CURRENT, _DEPRECATED)),
)  # fmt: skip
_NOT_FOR_DEBUGGING = ("apis", "api", "openid", "openapi", ".well-known")


def answer(
    asked: request.Request, version: Mapping[str, str], paths: Iterable[str], now: datetime.datetime
) -> request.Response:
    """``version`` is what ``/version`` answers. Raises ``errors.NotAcceptable``."""
    accepted = asked.header("accept")
    media = negotiation.negotiate(accepted, _OFFERS) if accepted.strip() else negotiation.MediaType(_TEXT)
    started = datetime.datetime.fromtimestamp(int(process_metrics.started()), datetime.UTC)
    up = max(0, int((now - started).total_seconds()))
    binary = version["gitVersion"].removeprefix("v").partition("+")[0]
    emulated = f"{version['emulationMajor']}.{version['emulationMinor']}"
    folders = sorted({f"/{path.split('/')[1]}" for path in paths if path.split("/")[1] not in _NOT_FOR_DEBUGGING})
    if media.essence == _TEXT:
        lines = [
            "", f"{_NAME} statusz", _WARNING, "",
            f"Started: {started:%a %b} {started.day:2} {started:%H:%M:%S UTC %Y}",
            f"Up: {up // 3600} hr {up // 60 % 60:02} min {up % 60:02} sec",
            f"Go version: {version['goVersion']}", f"Binary version: {binary}", f"Emulation version: {emulated}",
            f"Paths: {' '.join(folders)}", "",
        ]  # fmt: skip
        kind = _TEXT if accepted.strip() else f"{_TEXT}; charset=utf-8"
        return request.Response(200, [("Content-Type", kind)], "\n".join(lines).encode())
    if media.version == _DEPRECATED:
        asked.warnings.append("This version of the statusz endpoint is deprecated. Please use a newer version.")
    return response.encoded(
        asked, media,
        {
            "kind": _KIND, "apiVersion": f"config.k8s.io/{media.version}", "metadata": {"name": _NAME},
            "startTime": clock.rfc3339(started), "uptimeSeconds": up, "goVersion": version["goVersion"],
            "binaryVersion": binary, "emulationVersion": emulated, "paths": folders,
        },
    )  # fmt: skip
