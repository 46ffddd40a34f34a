"""Unpacking images, which nobody vouches for."""

import io
import os
import stat
import tarfile

import pytest

from kubeshim.node.kubelet import image_trees


def archive(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, more in members:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            if kind == tarfile.REGTYPE:
                entry.size, entry.mode = len(more), 0o4755
                tar.addfile(entry, io.BytesIO(more))
            else:
                entry.linkname = more
                tar.addfile(entry)
    data = buffer.getvalue()
    return iter([data[start : start + 700] for start in range(0, len(data), 700)])


@pytest.mark.root
def test_files_links_and_modes_come_out_and_devices_do_not(tmp_path):
    image_trees.extract(
        archive(
            ("a/b", tarfile.REGTYPE, b"x" * 3000),
            ("l", tarfile.SYMTYPE, "/etc/passwd"),
            ("dev", tarfile.BLKTYPE, ""),
            ("/abs", tarfile.REGTYPE, b"1"),
        ),
        str(tmp_path),
    )
    assert (tmp_path / "a/b").read_bytes() == b"x" * 3000 and (tmp_path / "abs").read_text() == "1"
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o4755
    assert os.readlink(tmp_path / "l") == "/etc/passwd" and not (tmp_path / "dev").exists()


@pytest.mark.parametrize(
    "members",
    [
        [("../out", tarfile.REGTYPE, b"x")],
        [("l", tarfile.SYMTYPE, "/tmp"), ("l/out-of-image", tarfile.REGTYPE, b"x")],
    ],
)
def test_nothing_lands_outside(tmp_path, members):
    directory = tmp_path / "in"
    directory.mkdir()
    with pytest.raises(OSError, match="leads outside"):
        image_trees.extract(archive(*members), str(directory))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert not os.path.exists("/tmp/out-of-image")
