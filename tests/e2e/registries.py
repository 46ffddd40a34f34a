"""Debian's docker-registry on loopback, open or with a password."""

import contextlib
import ctypes
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

from tests.e2e.conftest import eventually

CONFIG = """
version: 0.1
storage: {filesystem: {rootdirectory: ROOT}}
http: {addr: "127.0.0.1:PORT"}
"""
LOCKED = "auth: {htpasswd: {realm: test, path: HTPASSWD}}\n"


@contextlib.contextmanager
def serving(work, password=""):
    """``127.0.0.1:PORT``; with a password for user ``me`` only."""
    binary = shutil.which("docker-registry")
    assert binary, "docker-registry is missing: tools/setup.sh test installs it"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    text = CONFIG.replace("ROOT", str(work / "data")).replace("PORT", str(port))
    if password:
        (work / "htpasswd").write_text(f"me:{_hashed(password)}\n")
        text += LOCKED.replace("HTPASSWD", str(work / "htpasswd"))
    (work / "config.yml").write_text(text)
    process = subprocess.Popen(
        [binary, "serve", str(work / "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    host = f"127.0.0.1:{port}"
    try:
        eventually(lambda: answers(f"http://{host}/v2/"))
        yield host
    finally:
        process.terminate()
        process.wait(60)


def push(image, name, environment=None):
    """The registry gets a copy of the image; the engine keeps none under that name."""
    subprocess.run(["docker", "tag", image, name], check=True)
    subprocess.run(["docker", "push", "-q", name], env=environment, check=True, capture_output=True)
    subprocess.run(["docker", "rmi", name], check=True, capture_output=True)


def _hashed(password):
    libcrypt = ctypes.CDLL("libcrypt.so.1")
    libcrypt.crypt.restype = ctypes.c_char_p
    return libcrypt.crypt(password.encode(), b"$2y$05$abcdefghijklmnopqrstuu").decode()


def answers(url):
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
