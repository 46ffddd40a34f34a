"""Deletes finished Jobs ``ttlSecondsAfterFinished`` seconds after they finished."""

import logging

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)


class TTLAfterFinishedController(controller.Controller):
    name = "ttl-after-finished"
    workers = 1

    def register(self) -> None:
        self._jobs = self.informer(kinds.JOBS)
        self._jobs.add_handler(added=self._changed, updated=lambda _, new: self._changed(new))

    def _changed(self, job: Object) -> None:
        if job["spec"].get("ttlSecondsAfterFinished") is not None and not objects.is_deleting(job) and finished_at(job):
            self.enqueue(job)

    def sync(self, key: str) -> float | None:
        cached = self._jobs.get(key)
        if cached is None or self._left(cached) is None:
            return None
        left = self._left(cached)
        if left is not None and left > 0:
            return left
        try:
            job = self.client.get(kinds.JOBS, objects.name(cached), objects.namespace(cached))
            left = self._left(job)
            if left is None or left > 0:
                return left
            options = {"propagationPolicy": "Foreground", "preconditions": {"uid": objects.uid(job)}}
            self.client.delete(kinds.JOBS, objects.name(job), objects.namespace(job), options=options)
            self.metrics.job_expiry_delay.observe(-left)
        except errors.NotFound:
            _log.debug("job %s is gone already", key)
        return None

    def _left(self, job: Object) -> float | None:
        ttl, finished = job["spec"].get("ttlSecondsAfterFinished"), finished_at(job)
        if ttl is None or finished is None or objects.is_deleting(job):
            return None
        return float(ttl) - (self.clock.now() - clock.parse_rfc3339(finished)).total_seconds()


def finished_at(job: Object) -> str | None:
    for entry in objects.dig(job, "status", "conditions", default=()):
        if entry.get("type") in ("Complete", "Failed") and entry.get("status") == "True":
            return str(entry["lastTransitionTime"])
    return None
