"""Puts the authenticators over a server's stored objects."""

import logging
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import config as configuration
from kubeshim.control_plane.api_server import storage as storages
from kubeshim.control_plane.api_server.authentication import authenticators, service_accounts
from kubeshim.machinery import errors, legacy_tokens, objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import local

_log = logging.getLogger(__name__)


def build(
    config: configuration.Config, storage: storages.Storage, client: "local.LocalClient"
) -> authenticators.Authenticators:
    """Authenticators that forget a token as soon as what it is bound to goes away.

    ``client`` writes on Secrets with which tokens somebody came.
    """

    def used(secret: objects.Object, day: str) -> None:
        labels = {legacy_tokens.LAST_USED: day}
        patch = {"metadata": {"uid": objects.uid(secret), "labels": labels}}
        try:
            client.patch(service_accounts.SECRETS, objects.name(secret), patch, objects.namespace(secret))
        except errors.APIStatusError as problem:
            _log.warning("a token's use was not written down: %s", problem)

    made = authenticators.Authenticators(config, storage.reader, legacy_token_used=used)

    def follow(change: storages.Change) -> None:
        if change.kind == "DELETED":
            made.service_accounts.forget(objects.uid(change.obj))

    for gvr in (service_accounts.ACCOUNTS, service_accounts.PODS, service_accounts.SECRETS, service_accounts.NODES):
        storage.subscribe(gvr, follow)
    return made
