"""Deletes bootstrap tokens when their time is over."""

import logging

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import bootstrap_tokens, errors, objects

_log = logging.getLogger(__name__)


class TokenCleanerController(controller.Controller):
    name = "token-cleaner"
    workers = 1

    def register(self) -> None:
        self._secrets = self.own_informer(
            kinds.SECRETS,
            namespace=bootstrap_tokens.NAMESPACE,
            field_selector=f"type={bootstrap_tokens.TYPE}",
        )
        self._secrets.add_handler(added=self.enqueue, updated=lambda _, new: self.enqueue(new))

    def sync(self, key: str) -> float | None:
        """A Secret of the type whose contents make no token expires all the same."""
        secret = self._secrets.get(key)
        if secret is None:
            return None
        left = bootstrap_tokens.seconds_left(bootstrap_tokens.expiration_of(secret), self.clock.now())
        if left is None or left > 0:
            return left
        options = {"preconditions": {"uid": objects.uid(secret)}}
        try:
            self.client.delete(kinds.SECRETS, objects.name(secret), objects.namespace(secret), options=options)
        except (errors.NotFound, errors.Conflict):
            _log.debug("token %s is gone already", key)
        return None
