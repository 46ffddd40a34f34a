"""``jsonpatch.escapeKey``: a key as it stands in a JSON pointer (RFC 6901)."""

from kubeshim.machinery.cel import functions
from kubeshim.machinery.cel.types import STRING


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


LIBRARY = (functions.plain("jsonpatch.escapeKey", "string_jsonpatch_escapeKey_string", (STRING,), STRING, _escaped),)
