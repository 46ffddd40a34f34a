"""How objects are shaped: one node type for built-ins and custom resources alike.

``Schema`` is what decoding, pruning, patching, server-side apply and validation walk. Built-ins compile
from the upstream definitions (``definitions``), custom resources from their structural schema; either way
``properties`` resolve references lazily, so that recursive types (JSONSchemaProps) are no special case.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Kind = Literal[
    "object", "map", "array", "string", "integer", "number", "boolean", "any", "quantity", "int-or-string", "time",
    "micro-time", "bytes", "fields",
]  # fmt: skip
"""``object`` has named properties; ``map`` any keys with values of ``values``; ``any`` takes all JSON."""


@dataclasses.dataclass(slots=True, eq=False)
class Schema:
    """One place in an object's type. Treat as frozen after construction.

    ``list_type`` and ``map_type`` default as structured-merge-diff has them: lists atomic, maps granular.
    ``definition`` names the upstream definition (``io.k8s.api.core.v1.Container``) where there is one.
    """

    kind: Kind
    properties: Mapping[str, "Schema"] = dataclasses.field(default_factory=dict)
    values: "Schema | None" = None
    """Value type of a map."""
    items: "Schema | None" = None
    """Item type of an array."""
    required: tuple[str, ...] = ()
    nullable: bool = False
    list_type: Literal["atomic", "set", "map"] = "atomic"
    list_map_keys: tuple[str, ...] = ()
    map_type: Literal["granular", "atomic"] = "granular"
    patch_strategy: tuple[str, ...] = ()
    """Of ``merge``, ``replace``, ``retainKeys``, for strategic merge patch."""
    patch_merge_key: str = ""
    preserve_unknown: bool = False
    """Fields not in ``properties`` are kept (``x-kubernetes-preserve-unknown-fields``)."""
    embedded_resource: bool = False
    has_default: bool = False
    default: Any = None
    format: str = ""
    enum: Sequence[Any] = ()
    definition: str = ""
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The rest of an OpenAPI node (pattern, minimum, x-kubernetes-validations …) for who needs it."""
