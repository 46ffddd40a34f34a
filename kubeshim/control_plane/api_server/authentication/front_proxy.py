"""A front proxy speaks for others in headers; only who shows the front proxy's certificate is believed.

Names are taken from the list of headers as sent: a value with a comma in it is one group, not two.
"""

from collections.abc import Iterable, Sequence
from urllib import parse

from kubeshim.control_plane.api_server import request

USER = "x-remote-user"
GROUP = "x-remote-group"
UID = "x-remote-uid"
EXTRA = "x-remote-extra-"


def user(headers: Iterable[tuple[str, str]], proxy_name: str, allowed_names: Sequence[str]) -> request.UserInfo | None:
    """The user the proxy speaks for; None without one, or where the proxy's name is not among the allowed ones.

    ``headers`` are (lower-case name, value); no allowed names means any.
    """
    if allowed_names and proxy_name not in allowed_names:
        return None
    listed = list(headers)
    names = [value.strip() for name, value in listed if name == USER and value.strip()]
    if not names:
        return None
    groups = [value.strip() for name, value in listed if name == GROUP and value.strip()]
    extra: dict[str, list[str]] = {}
    for name, value in listed:
        if name.startswith(EXTRA):
            extra.setdefault(parse.unquote(name.removeprefix(EXTRA)), []).append(value)
    uid = next((value for name, value in listed if name == UID), "")
    if names[0] != request.ANONYMOUS.name and "system:authenticated" not in groups:
        groups.append("system:authenticated")
    return request.UserInfo(names[0], tuple(groups), uid, {key: tuple(values) for key, values in extra.items()})
