"""``mounttest``: makes files and tells what they are, in words that tests look for."""

import ctypes
import os
import stat
import time

from testhost import web

CONTENT = "mount-tester new file\n"
_TMPFS = 0x01021994


def mounttest(arguments):
    names = [name for name, _ in ACTIONS] + ["file_content_in_loop"]
    options = web.flags(
        arguments,
        **{f"raw__{name}": "" for name in names},
        raw__retry_time=180,
        raw__break_on_expected_content=True,
    )
    given = {name: getattr(options, f"raw__{name}") for name in names}
    os.umask(0)
    failed = False
    for name, act in ACTIONS:
        path = given[name]
        if not path:
            continue
        try:
            act(path)
        except OSError as error:
            print(f'error of {name} for "{path}": {error}', flush=True)
            failed = True
    if given["file_content_in_loop"]:
        failed |= not loop(
            given["file_content_in_loop"], options.raw__retry_time, options.raw__break_on_expected_content
        )
    return int(failed)


def say(text):
    print(text, flush=True)


def fs_type(path):
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None, use_errno=True).statfs(path.encode(), buffer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    kind = ctypes.c_long.from_buffer(buffer).value
    say(f'mount type of "{path}": {"tmpfs" if kind == _TMPFS else hex(kind)[2:]}')


def mode_words(found):
    """As Go writes modes: ``-rw-r--r--``, ``drwxrwxrwx``, with ``t``, ``u``, ``g`` for the special bits in front."""
    mode = found.st_mode
    front = "".join(
        letter
        for letter, bit in (
            ("d", stat.S_ISDIR(mode)),
            ("L", stat.S_ISLNK(mode)),
            ("p", stat.S_ISFIFO(mode)),
            ("S", stat.S_ISSOCK(mode)),
            ("u", mode & stat.S_ISUID),
            ("g", mode & stat.S_ISGID),
            ("t", mode & stat.S_ISVTX),
        )
        if bit
    )
    bits = "".join(letter if mode & (1 << (8 - index)) else "-" for index, letter in enumerate("rwxrwxrwx"))
    return (front or "-") + bits


def file_mode(path):
    say(f'mode of file "{path}": {mode_words(os.stat(path))}')


def file_perm(path):
    mode = os.stat(path).st_mode & 0o777
    bits = "".join(letter if mode & (1 << (8 - index)) else "-" for index, letter in enumerate("rwxrwxrwx"))
    say(f'perms of file "{path}": -{bits}')


def file_owner(path):
    found = os.stat(path)
    say(f'owner UID of "{path}": {found.st_uid}')
    say(f'owner GID of "{path}": {found.st_gid}')


def read(path):
    with open(path, newline="") as file:
        say(f'content of file "{path}": {file.read()}')


def write(permissions):
    def act(path):
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, permissions)) as file:
            file.write(CONTENT)
        read(path)

    return act


def loop(path, seconds, expected_ends):
    """Whether the last look succeeded."""
    end, good = time.monotonic() + seconds, True
    while time.monotonic() < end:
        try:
            with open(path, newline="") as file:
                content = file.read()
            good = True
            say(f'content of file "{path}": {content}')
            if expected_ends and content == CONTENT:
                return True
        except OSError as error:
            good = False
            say(f"Error reading file {path}: {error}, retrying")
        time.sleep(2)
    return good


ACTIONS = (
    ("fs_type", fs_type),
    ("new_file_0644", write(0o644)),
    ("new_file_0666", write(0o666)),
    ("new_file_0660", write(0o660)),
    ("new_file_0777", write(0o777)),
    ("file_mode", file_mode),
    ("file_perm", file_perm),
    ("file_owner", file_owner),
    ("file_content", read),
)
