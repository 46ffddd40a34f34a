"""Makes the test image out of this machine's own Debian packages: no registry is needed.

    kubeshim.example/testhost:1    /agnhost with its subcommands (``testhost``), busybox's tools, bash, curl

It holds Debian's Python with the part of its library that servers need, the named programs and the shared libraries
these load, in Debian's places. A second run finds the image made of the same inputs and does nothing.

    python tests/images/build.py
"""

import datetime
import hashlib
import io
import pathlib
import re
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).parent
NAME = "kubeshim.example/testhost:1"
LABEL = "io.kubeshim.test-image"
PYTHON, BUSYBOX = pathlib.Path("/usr/bin/python3"), pathlib.Path("/bin/busybox")
PROGRAMS = ("/usr/bin/bash", "/usr/bin/curl", "/usr/bin/getent", "/usr/bin/ip", "/usr/bin/nsenter", "/usr/bin/unshare")
LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|tkinter|lib2to3|ensurepip|pydoc_data|turtledemo|distutils|dist-packages|config-[^/]*|"
    r"asyncio|xmlrpc|wsgiref|multiprocessing|concurrent|unittest|sqlite3|curses|dbm|venv|__phello__|sitecustomize.py|"
    r"lib-dynload/(_test|_curses|_dbm|_gdbm|_tkinter|_sqlite3|_codecs_|ossaudiodev|nis|readline|audioop)[^/]*)(/|$)"
)
ACCOUNTS = """root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh
"""
GROUPS = """root:x:0:
nogroup:x:65534:
user-defined-in-image:x:1000:
group-defined-in-image:x:50000:user-defined-in-image
"""
LAUNCHER = "#!/usr/bin/python3 -sS\nimport sys\nsys.path.insert(0, '/opt')\nfrom testhost import __main__\n" \
    "sys.exit(__main__.main(sys.argv[1:]))\n"  # fmt: skip


def shared_libraries(programs):
    """{name: path} of what the programs load, the loader among them."""
    found = {}
    listed = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    for match in re.finditer(r"(?:\S+ => )?(/\S+) \(0x", listed):
        path = pathlib.Path(match[1])
        found[path.name] = path
    return found


def library_files():
    """The part of Python's own library that goes in."""
    version = subprocess.run(
        [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    root = pathlib.Path(version)
    return [path for path in sorted(root.rglob("*")) if path.is_file() and not LEFT_OUT.search(str(path))]


def fingerprint(own):
    """Changes with our files and with the machine's packages."""
    digest = hashlib.sha256(pathlib.Path(__file__).read_bytes())
    for path in [*own, PYTHON.resolve(), BUSYBOX, *(pathlib.Path(name) for name in PROGRAMS)]:
        if path.exists():
            digest.update(f"{path.name} ".encode())
            digest.update(path.read_bytes() if path in own else str(path.stat().st_mtime_ns).encode())
    return digest.hexdigest()[:32]


class Archive:
    """A root file system in memory."""

    def __init__(self):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w")  # noqa: SIM115
        self.directories = set()

    def directory(self, name, mode=0o755):
        if name and name not in self.directories:
            self.directory(name.rpartition("/")[0])
            self.directories.add(name)
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            self.tar.addfile(entry)

    def file(self, name, content, mode=0o644):
        self.directory(name.rpartition("/")[0])
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        self.tar.addfile(entry, io.BytesIO(content))

    def link(self, name, target):
        self.directory(name.rpartition("/")[0])
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self.tar.addfile(entry)

    def close(self):
        self.tar.close()
        return self.buffer.getvalue()


def certificate():
    """A key and certificate for ``localhost``, which the TLS servers use unless told otherwise."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    end = now + datetime.timedelta(days=3650)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, end)
    made = made.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, form, plain)
    return made.public_bytes(serialization.Encoding.PEM), private


def build(own):
    archive = Archive()
    for name in ("usr/bin", "usr/lib", "usr/lib64", "root", "proc", "sys", "dev", "etc", "var/run", "opt"):
        archive.directory(name)
    for name in ("tmp", "uploads"):
        archive.directory(name, 0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        archive.link(name, "usr/bin" if name.endswith("bin") else f"usr/{name}")
    programs = [pathlib.Path(name) for name in PROGRAMS if pathlib.Path(name).exists()]
    library = library_files()
    loaded = [PYTHON.resolve(), *programs, *(path for path in library if path.suffix == ".so")]
    for name, path in shared_libraries(loaded).items():
        archive.file(f"usr/lib64/{name}" if name.startswith("ld-") else f"usr/lib/x86_64-linux-gnu/{name}",
                     path.read_bytes(), 0o755)  # fmt: skip
    archive.file("usr/bin/busybox", BUSYBOX.read_bytes(), 0o755)
    present = {path.name for path in programs}
    applets = subprocess.run([str(BUSYBOX), "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox" and applet not in present:
            archive.link(f"usr/bin/{applet}", "busybox")
    for path in programs:
        archive.file(f"usr/bin/{path.name}", path.read_bytes(), 0o755)
    archive.file("usr/bin/python3", PYTHON.resolve().read_bytes(), 0o755)
    for path in library:
        archive.file(str(path).lstrip("/"), path.read_bytes())
    for path in own:
        archive.file(f"opt/testhost/{path.name}", path.read_bytes())
    archive.file("agnhost", LAUNCHER.encode(), 0o755)
    archive.link("agnhost-2", "agnhost")
    archive.file("etc/passwd", ACCOUNTS.encode())
    archive.file("etc/group", GROUPS.encode())
    public, private = certificate()
    archive.file("localhost.crt", public)
    archive.file("localhost.key", private)
    return archive.close()


def ensure():
    """The image's name; made if it is not there as it should be."""
    own = sorted((HERE / "testhost").glob("*.py"))
    mark = fingerprint(own)
    look = ["docker", "image", "inspect", "-f", f'{{{{index .Config.Labels "{LABEL}"}}}}', NAME]
    if subprocess.run(look, capture_output=True, text=True, check=False).stdout.strip() == mark:
        return NAME
    changes = [
        'ENTRYPOINT ["/agnhost"]',
        'CMD ["pause"]',
        "ENV PATH=/usr/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1",
        f"LABEL {LABEL}={mark}",
    ]
    command = ["docker", "import", *(word for change in changes for word in ("-c", change)), "-", NAME]
    subprocess.run(command, input=build(own), stdout=subprocess.DEVNULL, check=True)
    return NAME


if __name__ == "__main__":
    sys.exit(print(ensure()))
