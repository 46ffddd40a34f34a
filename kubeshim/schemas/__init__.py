"""Data, not code: the resource types (``resources/``, a file a group-version), the tables of facts
(``facts/``), and the schema of our own configuration file.

It lies inside the package so that an installed wheel carries it; ``path`` is the only way in.
"""

import pathlib


def path(*parts: str) -> pathlib.Path:
    """The file ``schemas/PARTS``."""
    return pathlib.Path(__file__).parent.joinpath(*parts)
