"""The process that holds a sandbox: a 288-byte program, and the image it is packed in.

Its first system call is ``unshare(CLONE_NEWNET)``; then it gives up every capability and waits, reaping whatever
children it is handed (it is PID 1 where the pod shares its PID namespace), until SIGTERM or SIGINT. Started in the
engine's ``host`` network mode this gives a namespace of its own at half the price of mode ``none``, for which the
engine runs itself twice more. Where the sandbox must stay in the namespace it was put in, it is started without
CAP_SYS_ADMIN: the call fails and changes nothing.

Source, assembled with GNU as (Intel syntax) and linked by hand: unshare 0x40000000; capset v3 all zero;
rt_sigprocmask block CHLD, TERM, INT; loop rt_sigtimedwait; on CHLD wait4(-1, WNOHANG) until nothing is left; on
TERM or INT exit_group(0). The bytes are for x86-64.
"""

import base64
import io
import platform
import tarfile

IMAGE = "kubeshim/pause:1"
ENTRYPOINT = ("/pause",)

_ELF = base64.b64decode(
    "f0VMRgIBAQAAAAAAAAAAAAIAPgABAAAAeABAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAEAAOAABAAAAAAAAAAEAAAAFAAAAAAAAAAAAAAAA"
    "AEAAAAAAAAAAQAAAAAAAIAEAAAAAAAAgAQAAAAAAAAAQAAAAAAAAuBABAAC/AAAAQA8FuH4AAABIjT1wAAAASI01cQAAAA8FuA4AAAAx/0iN"
    "NVEAAAAx0moIQVoPBbiAAAAASI09PQAAADH2MdJqCEFaDwWD+BF1GLg9AAAAg8//MfZqAVpFMdIPBYXAf+rrzYP4D3QFg/gCdcO45wAAADH/"
    "DwUPHwACQAEAAAAAACIFCCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def supported(machine: str = "") -> bool:
    """Whether there is a program for this kind of processor (``platform.machine()``)."""
    return (machine or platform.machine()) in ("x86_64", "amd64")


def archive() -> bytes:
    """A tar with the one file, for ``docker import``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("pause")
        entry.size = len(_ELF)
        entry.mode = 0o755
        tar.addfile(entry, io.BytesIO(_ELF))
    return buffer.getvalue()
