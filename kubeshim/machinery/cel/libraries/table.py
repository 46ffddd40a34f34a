"""All libraries together: the functions of every expression, whether rule, condition or policy."""

from collections.abc import Iterable

from kubeshim.machinery.cel import functions, standard
from kubeshim.machinery.cel.libraries import (
    addresses,
    formats,
    lists,
    optionals,
    patterns,
    quantities,
    sequences,
    sets,
    text,
    urls,
    versions,
)

_COMMON = (
    standard.LIBRARY,
    optionals.LIBRARY,
    text.LIBRARY,
    lists.LIBRARY,
    sequences.LIBRARY,
    sets.LIBRARY,
    patterns.LIBRARY,
    urls.LIBRARY,
    addresses.LIBRARY,
    quantities.LIBRARY,
    formats.LIBRARY,
    versions.LIBRARY,
)
TABLE = functions.Table(*_COMMON)


def joined(*libraries: Iterable[functions.Overload]) -> functions.Table:
    """The common ones and more."""
    return functions.Table(*_COMMON, *libraries)
