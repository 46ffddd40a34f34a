"""nftables inside one network namespace: transactions of text, through libnftables or ``nft -f -``.

A library context keeps the network namespace of the thread that made it, so it is made once inside the node's
namespace and then used from any thread. One buffer is one kernel transaction: all of it happens or nothing. The
library answers a one-line change in well under a millisecond, where forking ``nft`` takes twenty. A context holds
its namespace alive: ``close`` it when the node goes.
"""

import ctypes
import ctypes.util
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
RunInNode = Callable[[Callable[[], Any]], Any]
"""Runs a function in a thread that entered the node's network namespace and returns its result."""

_OUTPUT_JSON = 1 << 4


class NftablesError(OSError):
    """The kernel or the parser refused a transaction; nothing of it was applied."""


class Nftables(Protocol):
    """A way to talk to nftables of one network namespace."""

    def run(self, text: str) -> None:
        """Applies ``text`` as one transaction. Raises ``NftablesError``."""

    def listing(self, command: str) -> list[dict[str, Any]]:
        """The objects of a ``list …`` command in nft's JSON form. Raises ``NftablesError``."""

    def close(self) -> None: ...


def available() -> bool:
    """Whether this machine has nftables in either form."""
    return _library() is not None or shutil.which("nft") is not None


def open_in(run_in_node: RunInNode) -> Nftables:
    """Nftables of the namespace that ``run_in_node`` enters. Raises ``NftablesError`` where there is none."""
    library = _library()
    if library is not None:
        made: Library = run_in_node(lambda: Library(library))
        return made
    program = shutil.which("nft")
    if program is None:
        raise NftablesError("neither libnftables nor the nft program is installed (Debian: apt-get install nftables)")
    return Program(program, run_in_node)


class Library:
    """Through libnftables.so.1. Must be made in a thread that entered the namespace."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._context: int | None = library.nft_ctx_new(0)
        if not self._context:
            raise NftablesError("libnftables gave no context")
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)

    def run(self, text: str) -> None:
        self._command(text, 0)

    def listing(self, command: str) -> list[dict[str, Any]]:
        return _objects(self._command(command, _OUTPUT_JSON))

    def close(self) -> None:
        with self._lock:
            if self._context:
                self._library.nft_ctx_free(self._context)
                self._context = None

    def _command(self, text: str, flags: int) -> str:
        with self._lock:
            if self._context is None:
                raise NftablesError("the nftables context is closed")
            self._library.nft_ctx_output_set_flags(self._context, flags)
            code = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
            output: str = (self._library.nft_ctx_get_output_buffer(self._context) or b"").decode()
            error: str = (self._library.nft_ctx_get_error_buffer(self._context) or b"").decode()
        if code:
            raise NftablesError(error.strip()[:2000] or "nft failed")
        return output


class Program:
    """Through the ``nft`` program, run in the namespace each time."""

    def __init__(self, program: str, run_in_node: RunInNode) -> None:
        self._program = program
        self._run_in_node = run_in_node

    def run(self, text: str) -> None:
        self._call(["-f", "-"], text)

    def listing(self, command: str) -> list[dict[str, Any]]:
        return _objects(self._call(["-j", *command.split()], ""))

    def close(self) -> None:
        pass

    def _call(self, arguments: list[str], text: str) -> str:
        def call() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [self._program, *arguments], input=text, capture_output=True, text=True, check=False, env=_environment()
            )

        done: subprocess.CompletedProcess[str] = self._run_in_node(call)
        if done.returncode:
            raise NftablesError(done.stderr.strip()[:2000] or "nft failed")
        return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def _objects(text: str) -> list[dict[str, Any]]:
    if not text.strip():
        return []
    found = json.loads(text).get("nftables", [])
    return [entry for entry in found if "metainfo" not in entry]


def _library() -> ctypes.CDLL | None:
    name = ctypes.util.find_library("nftables") or "libnftables.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    for function in (library.nft_ctx_buffer_error, library.nft_ctx_buffer_output, library.nft_ctx_free):
        function.argtypes = [ctypes.c_void_p]
    for function in (library.nft_ctx_get_error_buffer, library.nft_ctx_get_output_buffer):
        function.argtypes = [ctypes.c_void_p]
        function.restype = ctypes.c_char_p
    return library
