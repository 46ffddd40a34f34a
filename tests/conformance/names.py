"""The official names, and marks by them without their trailing tags."""

import csv
import functools
import pathlib
import re

import pytest

TABLE = pathlib.Path(__file__).with_name("conformance.tsv")


@functools.cache
def official():
    """Every official name, in the table's order."""
    with TABLE.open(newline="") as file:
        return [row[4] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


@functools.cache
def _full():
    return {_bare(name): name for name in official()}


def _bare(name):
    return re.sub(r"( \[[^\]]*\])+$", "", name)


def answers(*names):
    """The mark of a test that does what the official tests of these names do; tags at their ends may be left out."""
    return pytest.mark.conformance(*(_full()[_bare(name)] for name in names))


def case(*values, of, id=None):
    """A parameter set that answers to the official test (or tests) ``of``."""
    of = [of] if isinstance(of, str) else of
    return pytest.param(*values, marks=answers(*of), id=id or re.sub(r"[^\w-]+", "-", of[0])[:70])
