"""An image to run in tests, made of this machine's own static busybox: no registry is needed."""

import io
import tarfile

from kubeshim.node.container_runtime import engine_images

NAME = "kubeshim-test/busybox:1"
APPLETS = ("sh", "sleep", "echo", "true", "false", "cat", "id", "hostname", "ls", "stat", "env", "head", "seq", "ip")


def busybox_archive():
    """A root file system with Debian's static busybox and links to it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, content in {"etc/passwd": b"root:x:0:0:root:/:/bin/sh\n", "etc/group": b"root:x:0:\n"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        directory = tarfile.TarInfo("tmp")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(directory)
    return buffer.getvalue()


def ensure(runtime):
    if runtime.image(NAME) is None:
        engine_images.make(runtime._engine, NAME, busybox_archive(), 'CMD ["sh"]')
