"""Expressions that choose devices (``selectors`` of device classes and of claims for devices): they read ``device``."""

from kubeshim.machinery.cel import declarations, environment, types
from kubeshim.machinery.cel.libraries import quantities

COST_LIMIT = 1_000_000
"""Of one expression, at most."""
_DOMAIN, _ID, _VALUE, _PROPERTIES = 63, 32, 64, 32
"""How long names and texts are, and how many of them a device has."""


def _text(length: int) -> declarations.Declaration:
    return declarations.Declaration(types.STRING, None, length, 2)


def _by_domain(element: declarations.Declaration, *, alike: bool = False) -> declarations.Declaration:
    kind = types.map_of(types.STRING, element.type)
    inner = declarations.Declaration(kind, None, _PROPERTIES, 2, element, _text(_ID), fields_alike=alike)
    kind = types.map_of(types.STRING, inner.type)
    return declarations.Declaration(kind, None, _PROPERTIES, 2, inner, _text(_DOMAIN))


_FIELDS = {
    "driver": _text(_DOMAIN),
    "allowMultipleAllocations": declarations.Declaration(types.BOOL, None, 0, 4),
    "attributes": _by_domain(declarations.Declaration(types.DYN, None, _VALUE, 1), alike=True),
    "capacity": _by_domain(declarations.Declaration(quantities.TYPE, None, 0, 8)),
}
_DEVICE = declarations.Declaration(types.object_type("kubernetes.DRADevice", _FIELDS), min_size=2, fields=_FIELDS)


def compile_selector(source: str) -> environment.Expression:
    """Raises ``environment.CompileError``."""
    expression = environment.compile_expression(source, {"device": _DEVICE.type}, binds=True)
    if expression.result not in (types.BOOL, types.DYN):
        kind = expression.result.declared_name()
        raise environment.CompileError(f"must evaluate to bool or the unknown type, not {kind}")
    return expression


def most(expression: environment.Expression) -> int:
    """What it can cost."""
    return expression.estimate(_DEVICE)
