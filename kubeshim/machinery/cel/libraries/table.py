"""All libraries together: the functions of every expression, whether rule, condition or policy."""

from kubeshim.machinery.cel import functions, standard
from kubeshim.machinery.cel.libraries import (
    addresses,
    formats,
    lists,
    optionals,
    patterns,
    quantities,
    sets,
    text,
    urls,
    versions,
)

TABLE = functions.Table(
    standard.LIBRARY,
    optionals.LIBRARY,
    text.LIBRARY,
    lists.LIBRARY,
    sets.LIBRARY,
    patterns.LIBRARY,
    urls.LIBRARY,
    addresses.LIBRARY,
    quantities.LIBRARY,
    formats.LIBRARY,
    versions.LIBRARY,
)
