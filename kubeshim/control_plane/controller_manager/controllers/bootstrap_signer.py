"""Signs the ConfigMap ``cluster-info`` with every bootstrap token that is for signing.

Who wants to join fetches it without knowing whom to trust, and believes what carries a signature by its own token.
"""

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import bootstrap_tokens
from kubeshim.machinery.objects import Object

_KEY = f"{bootstrap_tokens.INFO_NAMESPACE}/{bootstrap_tokens.INFO_NAME}"


class BootstrapSignerController(controller.Controller):
    name = "bootstrap-signer"
    workers = 1

    def register(self) -> None:
        """Informers of its own: nothing else here needs Secrets, and of ConfigMaps this is one."""
        self._infos = self.own_informer(
            kinds.CONFIG_MAPS,
            namespace=bootstrap_tokens.INFO_NAMESPACE,
            field_selector=f"metadata.name={bootstrap_tokens.INFO_NAME}",
        )
        self._secrets = self.own_informer(
            kinds.SECRETS,
            namespace=bootstrap_tokens.NAMESPACE,
            field_selector=f"type={bootstrap_tokens.TYPE}",
        )
        for one in (self._infos, self._secrets):
            one.add_handler(added=self._seen, updated=lambda _, new: self._seen(new), deleted=self._seen)

    def _seen(self, _: Object) -> None:
        self.queue.add(_KEY)

    def sync(self, key: str) -> float | None:
        """An expired token signs no more, whether or not it has been cleaned away."""
        info = self._infos.get(key)
        if info is None:
            return None
        known = [token for secret in self._secrets.list() if (token := bootstrap_tokens.of_secret(secret)) is not None]
        now = self.clock.now()
        good = [token for token in known if "signing" in token.usages and not token.is_expired(now)]
        data = bootstrap_tokens.signed(info, good)
        if data is not None and data != (info.get("data") or {}):
            self.client.update(kinds.CONFIG_MAPS, {**info, "data": data})
        ends = [left for token in good if (left := bootstrap_tokens.seconds_left(token.expiration, now)) is not None]
        return min(ends, default=None)
