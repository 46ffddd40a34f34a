"""Debian's docker-registry on loopback, open or with a password."""

import contextlib
import ctypes
import shutil
import subprocess
import urllib.error
import urllib.request

from tests import ports
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
    settings = CONFIG.replace("ROOT", str(work / "data"))
    if password:
        (work / "htpasswd").write_text(f"me:{_hashed(password)}\n")
        settings += LOCKED.replace("HTPASSWD", str(work / "htpasswd"))
    # a port that is free may be another's a moment later: then the registry ends, and tries one more
    process, host = eventually(lambda: _started(binary, work / "config.yml", settings))
    try:
        yield host
    finally:
        process.terminate()
        process.wait(180)


def _started(binary, config, settings):
    """The registry and where it serves; None if it could not."""
    host = f"127.0.0.1:{ports.free()}"
    config.write_text(settings.replace("127.0.0.1:PORT", host))
    process = subprocess.Popen([binary, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: process.poll() is not None or answers(f"http://{host}/v2/"))
    return (process, host) if process.poll() is None else None


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
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
