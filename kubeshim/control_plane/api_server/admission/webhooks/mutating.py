"""MutatingAdmissionWebhook: other servers may change or refuse what is about to be written.

They are asked one after another, each seeing what those before it have changed. What comes back is brought into the
form of its type again: defaults of what was added, nothing that the type does not have. When an object changes after
a hook with ``reinvocationPolicy: IfNeeded`` has seen it, the whole chain runs a second time and that hook is asked
once more (``plugin.Reinvocation``).
"""

import logging
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import conversion
from kubeshim.control_plane.api_server.admission import plugin, rules, settling
from kubeshim.control_plane.api_server.admission.webhooks import asking, hook, hooks
from kubeshim.machinery import errors
from kubeshim.machinery.patches import json_patch

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)


class MutatingAdmissionWebhook:
    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._hooks = hooks.Hooks()
        server.storage.subscribe(hooks.MUTATING, self._hooks.follow)

    @property
    def waits(self) -> bool:
        return bool(self._hooks.all)

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        found = self._hooks.all
        if not found or rules.is_exempt(attributes):
            return
        rounds = attributes.reinvocation
        if rounds.second and rounds.changed_since_asked(attributes.object):
            rounds.object_changed()
        for one in found:
            key = f"{one.configuration}/{one.name}"
            if rounds.second and key not in rounds.again:
                continue
            self._ask(one, key, attributes, reader)
        rounds.asked(attributes.object)

    def _ask(self, one: hook.Hook, key: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        try:
            asked = asking.ask(self._server, one, attributes, reader, mutating=True)
            if asked is None:
                return
            changed = asked.answer.patch is not None and self._apply(one, asked, attributes)
        except asking.CallFailed as failure:
            if not one.fails_open:
                raise asking.closed(failure) from failure
            _log.warning("failing open: %s", failure)
            return
        if changed:
            attributes.reinvocation.object_changed()
        if one.again:
            attributes.reinvocation.remember(key)

    def _apply(self, one: hook.Hook, asked: asking.Asked, attributes: plugin.Attributes) -> bool:
        """Whether the patch changed anything."""
        present = attributes.object
        if present is None or asked.object is None:
            raise errors.InternalError(
                "Internal error occurred: admission webhook "
                f'"{one.name}" attempted to modify the object, which is not supported for this operation'
            )
        try:
            patched = json_patch.apply(asked.object, asked.answer.patch)
        except errors.APIStatusError as problem:
            raise errors.InternalError(f"Internal error occurred: {problem}") from problem
        if patched == asked.object:
            return False
        if not isinstance(patched, dict):
            raise errors.InternalError("Internal error occurred: the patched object is no object")
        made = conversion.convert(self._server, patched, asked.resource, attributes.resource)
        settling.settle(self._server, attributes.resource, made)
        if made == present:
            return False
        # whoever called holds this very object
        present.clear()
        present.update(made)
        return True
