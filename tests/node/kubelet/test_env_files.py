import os

import pytest

from kubeshim.node.kubelet import env_files, environment, field_paths


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("# words\n\nA='1'\nB=''  # more\n", {"A": "1", "B": ""}),
        ("  A='a b=c#d'\r\nA.b-c='x'", {"A": "a b=c#d", "A.b-c": "x"}),
        ("A='one\n# two\nthree'\nB='2'\nA='last'\n", {"A": "last", "B": "2"}),
    ],
)
def test_files_of_variables(text, found):
    assert env_files.parse(text) == found


@pytest.mark.parametrize("text", ["A=1", 'A="1"', "A='1", "A", "A='1' B='2'", "='1'", "export A='1'x"])
def test_other_forms_are_refused(text):
    with pytest.raises(env_files.BadFile, match="at line 1"):
        env_files.parse(text)


def value(root, path="env", key="A", **more):
    entry = {"name": "X", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": path, "key": key, **more}}}
    sources = environment.Sources(lambda kind, name: None, [], field_paths.NodeFacts("n", [], [], {}), {"v": str(root)})
    return environment.variables({"metadata": {}, "spec": {}}, {"name": "c", "env": [entry]}, sources).get("X")


def test_a_key_of_a_file_in_a_volume(tmp_path):
    root = tmp_path / "v"
    root.mkdir()
    (root / "env").write_text("A='1'\n")
    (tmp_path / "secret").write_text("A='theirs'\n")
    os.symlink("../secret", root / "out")
    os.mkfifo(root / "pipe")
    (root / "bad").write_text("A=1")
    assert value(root) == "1" and value(root, key="B", optional=True) is None
    assert value(root, path="none", optional=True) is None
    for path, key, words in (
        ("env", "B", 'environment variable key "B" not found in file "env"'),
        ("none", "A", "not found in file"), ("out", "A", "couldn't parse"), ("pipe", "A", "not a regular file"),
        ("bad", "A", "single quotes"),
    ):  # fmt: skip
        with pytest.raises(environment.ConfigProblem, match=words):
            value(root, path, key)
