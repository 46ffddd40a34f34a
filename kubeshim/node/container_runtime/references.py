"""Names of images: ``[registry/]repository[:tag][@digest]``, and what the engine makes of short ones.

Source: the distribution project's reference grammar.
"""

import dataclasses
import re

DEFAULT_REGISTRY = "docker.io"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\]"
_PATTERN = re.compile(
    rf"(?P<name>(?:(?:{_HOST})(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """``registry`` is never empty; ``tag`` is empty where there is a digest and no tag."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """``registry/repository`` in full."""
        return f"{self.registry}/{self.repository}"


def parse(text: str) -> Reference:
    """Raises ``ValueError`` in the words of the reference parser."""
    if re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    match = _PATTERN.fullmatch(text)
    if match is None:
        if text and _PATTERN.fullmatch(text.lower()):
            raise ValueError(f"invalid reference format: repository name ({text.partition('@')[0]}) must be lowercase")
        raise ValueError("invalid reference format")
    name = match["name"]
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost" or head != head.lower()):
        registry, repository = head, rest
    else:
        registry, repository = DEFAULT_REGISTRY, name
    if registry == "index.docker.io":
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    digest = match["digest"] or ""
    return Reference(registry, repository, match["tag"] or ("" if digest else "latest"), digest)
