"""Every namespace has a ServiceAccount ``default``."""

import logging

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, pod_control
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)


class ServiceAccountController(controller.Controller):
    name = "serviceaccount"
    component = "service-account-controller"

    def register(self) -> None:
        self._namespaces = self.watch(kinds.NAMESPACES)
        self._accounts = self.informer(kinds.SERVICE_ACCOUNTS)
        self._accounts.add_handler(deleted=self._account_deleted)

    def _account_deleted(self, account: Object) -> None:
        self.queue.add(objects.namespace(account))

    def sync(self, key: str) -> None:
        namespace = self._namespaces.get(key)
        if namespace is None or objects.dig(namespace, "status", "phase") == "Terminating":
            return
        if objects.is_deleting(namespace) or self._accounts.get(f"{key}/default") is not None:
            return
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": key}}
        try:
            self.client.create(kinds.SERVICE_ACCOUNTS, account)
        except errors.AlreadyExists:
            _log.debug("%s/default is there already", key)
        except errors.APIStatusError as error:
            if not pod_control.namespace_is_going(error):
                raise
