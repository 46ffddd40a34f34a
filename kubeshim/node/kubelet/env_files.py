"""Files of environment variables in a pod's ``emptyDir``, which an earlier container wrote (``fileKeyRef``).

    # a comment
    ADDRESS='10.0.0.1:80'
    TEXT='everything up to the next single quote,
    across lines, is taken as it is'

Only this form is understood, so that no shell's idea of quoting decides what a value is.
Source: Kubernetes documentation, "Define Environment Variable Values Using An Init Container".
"""

import os
import re
import stat

from kubeshim.node.kubelet import mounts

LARGEST = 64 * 1024
_ENTRY = re.compile(r"(?P<name>[^\s=#'\"][^=\n']*)='(?P<value>[^']*)'[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")


class BadFile(ValueError):
    """Not in the form; says where."""


def parse(text: str) -> dict[str, str]:
    """Of several entries of a name the last counts. Raises ``BadFile``."""
    found: dict[str, str] = {}
    text = text.replace("\r\n", "\n")
    position = 0
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank is not None and blank.end() > position:
            position = blank.end()
            continue
        start = position + len(text[position:]) - len(text[position:].lstrip(" \t"))
        entry = _ENTRY.match(text, start)
        if entry is None:
            line = text.count("\n", 0, position) + 1
            raise BadFile(f"invalid environment variable format at line {line}: values must be in single quotes")
        found[entry["name"]] = entry["value"]
        position = entry.end()
    return found


def read(root: str, path: str) -> str | None:
    """A file in a volume, wherever its links lead inside; None where it is not there. Raises ``BadFile``, ``OSError``.

    The volume belongs to a container: what is no plain file, or too large, is not read.
    """
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            descriptor = mounts.open_beneath(directory, path.lstrip("/"), os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
    finally:
        os.close(directory)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BadFile("not a regular file")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise BadFile(f"larger than {LARGEST} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadFile("not UTF-8") from error
