import dataclasses
import json

import pytest

from kubeshim import schemas
from kubeshim.cluster import options
from kubeshim.control_plane.api_server import config as api_server
from kubeshim.control_plane.controller_manager import config as manager
from kubeshim.control_plane.scheduler import config as scheduler
from kubeshim.node.kube_proxy import proxy
from kubeshim.node.kubelet import config as kubelet

RECORDS = {
    "apiServer": api_server.Config,
    "controllerManager": manager.Options,
    "scheduler": scheduler.Config,
    "kubelet": kubelet.KubeletConfig,
    "proxy": proxy.ProxyConfig,
}
SCHEMA = json.loads(schemas.path("cluster.json").read_text())


@pytest.mark.parametrize("section", RECORDS)
def test_every_option_of_the_schema_sets_a_field_that_is_there(section):
    assert set(SCHEMA["properties"][section]["properties"]) == set(options.OPTIONS[section])
    fields = {field.name for field in dataclasses.fields(RECORDS[section])}
    assert {field for field, _ in options.OPTIONS[section].values()} <= fields


def test_no_section_is_without_its_options():
    assert set(options.OPTIONS) == set(SCHEMA["properties"]) - {"networking", "simulatedNodes"} == set(RECORDS)


def test_options_are_read_by_their_kind():
    read = options.read({"eventTTL": "1h30m", "disableAdmissionPlugins": ["A"]}, options.OPTIONS["apiServer"])
    assert read == {"event_ttl": 5400.0, "disabled_admission_plugins": ("A",)}
