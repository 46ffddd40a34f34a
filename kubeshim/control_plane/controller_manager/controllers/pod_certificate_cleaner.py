"""Deletes requests for pods' certificates a while after they were made: answered by then, or never."""

import logging

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import errors, objects

_log = logging.getLogger(__name__)

KEPT_SECONDS = 15 * 60.0


class PodCertificateCleanerController(controller.Controller):
    name = "podcertificaterequest-cleaner"
    workers = 1

    def register(self) -> None:
        self._requests = self.informer(kinds.POD_CERTIFICATE_REQUESTS)
        self._requests.add_handler(added=self.enqueue)

    def sync(self, key: str) -> float | None:
        request = self._requests.get(key)
        if request is None:
            return None
        made = clock.parse_rfc3339(request["metadata"]["creationTimestamp"])
        left = KEPT_SECONDS - (self.clock.now() - made).total_seconds()
        if left > 0:
            return left
        try:
            options = {"preconditions": {"uid": objects.uid(request)}}
            self.client.delete(
                kinds.POD_CERTIFICATE_REQUESTS, objects.name(request), objects.namespace(request), options=options
            )
        except errors.NotFound:
            _log.debug("request %s is gone already", key)
        return None
