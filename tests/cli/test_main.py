import pytest

from kubeshim.cli import main


def test_help_teaches_every_verb(capsys):
    assert main.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {verb}" in text for verb in main.VERBS)
    assert "sudo kubeshim up" in text


@pytest.mark.parametrize("verb", main.VERBS)
def test_each_verb_has_help_of_its_own(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main([verb, "--help"])
    assert ended.value.code == 0
    assert f"usage: kubeshim {verb}" in capsys.readouterr().out


def test_an_unknown_verb_is_named(capsys):
    assert main.main(["upp"]) == 2
    assert "no verb 'upp'" in capsys.readouterr().err


def test_what_there_is_no_cluster_for(capsys, monkeypatch, tmp_path):
    from kubeshim.cluster import layout

    monkeypatch.setattr(layout, "ROOT", tmp_path)
    assert main.main(["status", "--name", "never"]) == 3
    assert main.main(["kubeconfig", "--name", "never"]) == 1
    assert "start one with kubeshim up --name never" in capsys.readouterr().err
    assert main.main(["list"]) == 0


def test_version(capsys):
    assert main.main(["--version"]) == 0
    assert "serving Kubernetes v1.37." in capsys.readouterr().out


def test_nodes_of_no_cluster_and_no_node(capsys, monkeypatch, tmp_path):
    from kubeshim.cluster import host, layout

    monkeypatch.setattr(layout, "ROOT", tmp_path)
    monkeypatch.setattr(host, "check", lambda: None)
    assert main.main(["node", "list", "--name", "never"]) == 1
    assert "start one with kubeshim up --name never" in capsys.readouterr().err
    assert main.main(["node", "stop"]) == 1
    assert "needs the name of a node" in capsys.readouterr().err
    assert main.main(["node", "add", "No_Name", "--name", "never"]) == 1
    assert "not a usable name" in capsys.readouterr().err
