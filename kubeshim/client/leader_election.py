"""One of several acts: whoever holds a Lease, until it stops renewing it.

As client-go: the holder renews every ``retry`` seconds and gives up when it could not for ``renew`` seconds;
the others take over when they have seen no change of the Lease for ``lease_duration`` seconds of their own
clock (wall clocks are never compared between machines). A holder that stops in order gives the Lease back.
One that comes back under the same identity goes on at once: give a stable identity only where something else
makes sure that there are never two of them.
"""

import copy
import logging
import threading
from collections.abc import Callable

from kubeshim import clock
from kubeshim.client import kinds, rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

FIRST_DELAY = 0.05


class LeaderElector:
    """A candidate for the Lease ``name``."""

    def __init__(
        self,
        client: rest.Client,
        name: str,
        identity: str,
        lease_duration: float = 15,
        renew: float = 10,
        retry: float = 2,
        *,
        namespace: str = "kube-system",
        time_source: clock.Clock = clock.SYSTEM,
    ) -> None:
        if not lease_duration > renew > retry * 1.2:
            raise ValueError("lease_duration must be greater than renew, and renew than 1.2 times retry")
        self._client, self._name, self._identity, self._namespace = client, name, identity, namespace
        self._duration, self._renew, self._retry, self._clock = lease_duration, renew, retry, time_source
        self._seen: Object | None = None
        self._seen_at = 0.0
        self.is_leader = False

    def run(self, on_started: Callable[[], None], stop: threading.Event) -> None:
        """Waits for the Lease, calls ``on_started`` (which must return) and keeps renewing.

        Returns when ``stop`` is set, having released the Lease, or when leadership was lost; then the caller
        must end all it does as leader, at best the process.
        """
        delay = FIRST_DELAY
        while not self._try():
            # Where nobody holds the Lease, what is in the way is a cluster that is still starting.
            delay = self._retry if self._holder() not in ("", self._identity) else min(delay * 2, self._retry)
            if stop.wait(delay):
                return
        self.is_leader = True
        _log.info("%s is now the leader of %s/%s", self._identity, self._namespace, self._name)
        renewed = self._clock.monotonic()
        on_started()
        while not stop.wait(self._retry):
            if self._try():
                renewed = self._clock.monotonic()
            elif self._clock.monotonic() - renewed >= self._renew or self._holder() not in ("", self._identity):
                self.is_leader = False
                _log.error("%s lost the leadership of %s/%s", self._identity, self._namespace, self._name)
                return
        self.is_leader = False
        self._release()

    def _try(self) -> bool:
        """One attempt to take or renew; True if we hold the Lease afterwards."""
        try:
            return self._take_or_renew()
        except (errors.APIStatusError, OSError) as error:
            _log.info("cannot renew the lease %s/%s: %s", self._namespace, self._name, error)
            return False

    def _take_or_renew(self) -> bool:
        if self.is_leader and self._seen is not None:
            try:  # the usual case: nobody wrote but us
                self._observe(self._client.update(kinds.LEASES, self._wanted(self._seen)))
                return True
            except (errors.Conflict, errors.NotFound):
                _log.debug("the lease changed under us, or was deleted")
        try:
            current = self._client.get(kinds.LEASES, self._name, self._namespace)
        except errors.NotFound:
            self._observe(self._client.create(kinds.LEASES, self._wanted(None)))
            return True
        if objects.resource_version(current) != objects.resource_version(self._seen or {}):
            self._observe(current)
        valid = self._clock.monotonic() < self._seen_at + self._duration
        if self._holder() not in ("", self._identity) and valid:
            return False
        self._observe(self._client.update(kinds.LEASES, self._wanted(current)))
        return True

    def _observe(self, lease: Object) -> None:
        self._seen, self._seen_at = lease, self._clock.monotonic()

    def _holder(self) -> str:
        return str(objects.dig(self._seen, "spec", "holderIdentity", default=""))

    def _wanted(self, current: Object | None) -> Object:
        """The Lease as it is when we hold it."""
        now = clock.rfc3339_micro(self._clock.now())
        if current is None:
            spec: Object = {"leaseTransitions": 0, "acquireTime": now}
            current = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
            }
        else:
            current, spec = copy.copy(current), dict(current.get("spec") or {})
            if spec.get("holderIdentity") != self._identity:
                spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
                spec["acquireTime"] = now
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": int(self._duration), "renewTime": now}
        return {**current, "spec": spec}

    def _release(self) -> None:
        lease = self._seen
        if lease is None:
            return
        now = clock.rfc3339_micro(self._clock.now())
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        try:
            self._client.update(kinds.LEASES, {**lease, "spec": spec})
        except (errors.APIStatusError, OSError) as error:
            _log.info("cannot release the lease %s/%s: %s", self._namespace, self._name, error)
