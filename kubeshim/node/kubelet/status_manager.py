"""Writes pods' statuses to the API: only changes, in order, the newest only, until the server has them.

One thread. A pod whose status changes again while it waits is written once. The patch names what differs from what
the API is known to have, and the pod's UID, so that a status never lands on a namesake.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from kubeshim.client import kinds
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_spec, pod_status, seams

_log = logging.getLogger(__name__)

_FIRST_DELAY, _LAST_DELAY = 0.1, 5.0
FIELDS = (
    "phase", "conditions", "message", "reason", "hostIP", "hostIPs", "podIP", "podIPs", "startTime", "qosClass",
    "initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses", "resize", "observedGeneration",
    "resources", "allocatedResources",
)  # fmt: skip
"""What the kubelet owns of a pod's status; the rest (nominatedNodeName, resource claims) is others'."""


def difference(old: Object, new: Object) -> Object:
    """The strategic merge patch of ``status`` that turns ``old`` into ``new``; empty where nothing differs.

    Conditions are merged by type and addresses by ip, so only what changed of them is named; all else is replaced.
    Others' conditions are never named: what a status holds of them may be older than what they have written since.
    """
    patch: Object = {}
    for field in FIELDS:
        before, after = _without_nulls(old.get(field)), _without_nulls(new.get(field))
        if before == after:
            continue
        if field == "conditions":
            changed = _conditions(before or [], after or [])
            if changed:
                patch[field] = changed
        elif field == "podIPs" and before:
            patch[field] = [{"$patch": "replace"}, *(after or [])]
        else:
            patch[field] = after
    return patch


def _without_nulls(value: Any) -> Any:
    """The API leaves out what is null; so it must not count as a difference."""
    if isinstance(value, dict):
        return {field: _without_nulls(entry) for field, entry in value.items() if entry is not None}
    return [_without_nulls(entry) for entry in value] if isinstance(value, list) else value


def _conditions(before: list[Object], after: list[Object]) -> list[Object]:
    known = {entry["type"]: entry for entry in before}
    wanted = {entry["type"] for entry in after}
    changed: list[Object] = []
    for entry in after:
        old = known.get(entry["type"])
        if old == entry or entry["type"] not in pod_status.OWNED + pod_status.SHARED:
            continue
        gone: dict[str, Any] = {field: None for field in old or {} if field not in entry}
        changed.append({**gone, **entry})
    changed += [{"type": kind, "$patch": "delete"} for kind in known if kind in pod_status.OWNED and kind not in wanted]
    return changed


class StatusManager:
    """``on_written`` is called with a pod's UID after its newest status is in the API, in this thread."""

    def __init__(
        self,
        api: seams.Api,
        on_written: Callable[[str], None],
        shown_as: Callable[[Object], Object | None] = lambda pod: pod,
    ) -> None:
        """``shown_as`` gives the API's pod for one of ours: static pods have mirrors, or nothing yet."""
        self._shown_as = shown_as
        self._api = api
        self._on_written = on_written
        self._changed = threading.Condition()
        self._wanted: dict[str, Object] = {}
        """Pods with the status they shall have, by UID, in the order they came."""
        self._written: dict[str, Object] = {}
        """The status the API is known to have, by UID."""
        self._latest: dict[str, Object] = {}
        """Pods with the status last set, by UID."""
        self._versions: dict[str, int] = {}
        """The resourceVersion that ``_written`` was seen at: watches bring older states late."""
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        thread = threading.Thread(target=self._run, name="kubelet-status", daemon=True)
        thread.start()
        self._thread = thread

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(5.0)

    def set(self, pod: Object, status: Object) -> None:
        """Makes ``status`` the pod's, soon."""
        uid = objects.uid(pod)
        with self._changed:
            self._latest[uid] = {**pod, "status": status}
            self._written.setdefault(uid, pod.get("status") or {})
            if uid not in self._wanted and not difference(self._written[uid], status):
                return
            self._wanted[uid] = self._latest[uid]
            self._changed.notify()

    def observe(self, pod: Object, uid: str = "") -> bool:
        """The API's own copy changed.

        Whether that differs from what was last set, and nothing is on its way that will put it right: a node that was
        away finds its pods called unready.
        ``uid`` is ours, where the API has another one (mirror pods).
        """
        uid, version = uid or objects.uid(pod), _version(pod)
        with self._changed:
            if version < self._versions.get(uid, 0):
                return False
            self._written[uid] = pod.get("status") or {}
            self._versions[uid] = version
            if uid in self._wanted:
                return False
            latest = self._latest.get(uid)
            if latest is None or not difference(self._written[uid], latest["status"]):
                return False
            if not pod_spec.is_terminal(latest):
                return True
            # No round of its worker makes this status once more: it is the pod's last.
            self._wanted[uid] = {**latest, "status": pod_status.newest(pod, latest["status"])}
            self._changed.notify()
            return False

    def latest(self, uid: str) -> Object | None:
        """The last status set, whether or not it has been written."""
        with self._changed:
            latest = self._latest.get(uid)
            return None if latest is None else latest["status"]

    def settled(self, uid: str) -> bool:
        """Whether the API has what was last set."""
        with self._changed:
            return uid not in self._wanted

    def forget(self, uid: str) -> None:
        with self._changed:
            for table in (self._wanted, self._written, self._latest):
                table.pop(uid, None)
            self._versions.pop(uid, None)

    def _run(self) -> None:
        delay = _FIRST_DELAY
        while True:
            with self._changed:
                while not self._wanted and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                uid, pod = next(iter(self._wanted.items()))
            try:
                self._write(uid, pod)
                delay = _FIRST_DELAY
            except (errors.APIStatusError, OSError) as error:
                _log.info("status of pod %s: %s", objects.key(pod), error)
                self._later(uid)
                self._pause(delay)
                delay = min(delay * 2, _LAST_DELAY)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            while not self._stopped and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)

    def _later(self, uid: str) -> None:
        """To the end of the line, so that one bad pod does not hold up the others."""
        with self._changed:
            if uid in self._wanted:
                self._wanted[uid] = self._wanted.pop(uid)

    def _write(self, uid: str, pod: Object) -> None:
        with self._changed:
            patch = difference(self._written.get(uid, {}), pod["status"])
        written: Object | None = None
        version = 0
        shown = self._shown_as(pod)
        if patch and shown is None:
            written = None  # no mirror yet: its arrival asks for the status again
        elif patch and shown is not None:
            try:
                body = {"metadata": {"uid": objects.uid(shown)}, "status": patch}
                namespace, name = objects.namespace(pod), objects.name(pod)
                answer = self._api.patch(kinds.PODS, name, body, namespace, kind="strategic", subresource="status")
                written, version = answer.get("status") or {}, _version(answer)
            except (errors.NotFound, errors.Conflict) as error:
                if str(error).endswith(errors.MODIFIED):
                    raise  # others write all the time
                # That pod is gone, or another one has its name: nobody to tell. A mirror's successor is to be told.
                written = pod["status"] if shown is pod else None
        with self._changed:
            # others may have written after us, and been seen before our answer was
            overtaken = 0 < version < self._versions.get(uid, 0)
            if written is not None and uid in self._latest and not overtaken:
                self._written[uid] = written
                self._versions[uid] = max(version, self._versions.get(uid, 0))
            # What they wrote since the patch was made is not in it; what is and is not there, the API does not take.
            left = difference(self._written.get(uid, {}), pod["status"])
            if left and (overtaken or left != patch):
                return
            if self._wanted.get(uid) is pod:
                del self._wanted[uid]
        self._on_written(uid)


def _version(pod: Object) -> int:
    text = objects.resource_version(pod)
    return int(text) if text.isdigit() else 0
