"""Puts the authenticators over a server's stored objects."""

from kubeshim.control_plane.api_server import config as configuration
from kubeshim.control_plane.api_server import storage as storages
from kubeshim.control_plane.api_server.authentication import authenticators, service_accounts
from kubeshim.machinery import objects


def build(config: configuration.Config, storage: storages.Storage) -> authenticators.Authenticators:
    """Authenticators that forget a token as soon as what it is bound to goes away."""
    made = authenticators.Authenticators(config, storage.reader)

    def follow(change: storages.Change) -> None:
        if change.kind == "DELETED":
            made.service_accounts.forget(objects.uid(change.obj))

    for gvr in (service_accounts.ACCOUNTS, service_accounts.PODS, service_accounts.SECRETS, service_accounts.NODES):
        storage.subscribe(gvr, follow)
    return made
