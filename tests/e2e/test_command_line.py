"""The verbs of the kubeshim command beside up and down."""

import subprocess

from tests.e2e.conftest import kubeshim


def test_kubeconfig_and_logs(cluster, tmp_path):
    text = kubeshim("kubeconfig", "--name", "e2e").stdout
    (tmp_path / "config").write_text(text)
    shown = cluster.out("get", "nodes", "--kubeconfig", str(tmp_path / "config"))
    assert "e2e-node" in shown
    assert "api-server" in kubeshim("logs", "--name", "e2e").stdout.split()
    assert "started api-server" in kubeshim("logs", "--name", "e2e", "supervisor").stdout
    assert "no log of" in kubeshim("logs", "--name", "e2e", "nothing", check=False).stderr


def test_load_image(cluster, namespace, tmp_path):
    name, archive = "kubeshim.example/loaded:1", str(tmp_path / "image.tar")
    subprocess.run(["docker", "tag", "kubeshim.example/busybox:1", name], check=True)
    subprocess.run(["docker", "save", "-o", archive, name], check=True)
    subprocess.run(["docker", "rmi", name], check=True, capture_output=True)
    assert "No such image" in kubeshim("load", "image", name, "--name", "e2e", check=False).stderr
    assert kubeshim("load", "image", archive, "--name", "e2e").stdout == f"loaded {archive}\n"
    cluster.kubectl(
        "run", "-n", namespace, "loaded", f"--image={name}", "--image-pull-policy=Never", "--", "sleep", "100"
    )
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/loaded", "--timeout=180s")
    cluster.kubectl("delete", "pod", "-n", namespace, "loaded", "--now")
    subprocess.run(["docker", "rmi", "-f", name], check=True, capture_output=True)
