"""ValidatingAdmissionWebhook: other servers may refuse what is about to be written. They are asked side by side."""

import logging
from typing import TYPE_CHECKING

from gevent import pool

from kubeshim.control_plane.api_server.admission import plugin, rules
from kubeshim.control_plane.api_server.admission.webhooks import asking, hook, hooks

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)
_AT_ONCE = 16


class ValidatingAdmissionWebhook:
    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._hooks = hooks.Hooks()
        server.storage.subscribe(hooks.VALIDATING, self._hooks.follow)

    @property
    def waits(self) -> bool:
        return bool(self._hooks.all)

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        found = self._hooks.all
        if not found or rules.is_exempt(attributes):
            return
        if len(found) == 1:
            self._ask(found[0], attributes, reader)
            return
        workers = pool.Pool(_AT_ONCE)
        asked = [workers.spawn(self._outcome, one, attributes, reader) for one in found]
        workers.join()
        for one in asked:
            if one.value is not None:
                raise one.value

    def _outcome(self, one: hook.Hook, attributes: plugin.Attributes, reader: plugin.Reader) -> Exception | None:
        try:
            self._ask(one, attributes, reader)
        except Exception as refusal:  # carried to whoever waits
            return refusal
        return None

    def _ask(self, one: hook.Hook, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        try:
            asking.ask(self._server, one, attributes, reader, mutating=False)
        except asking.CallFailed as failure:
            if not one.fails_open:
                raise asking.closed(failure) from failure
            _log.warning("failing open: %s", failure)
