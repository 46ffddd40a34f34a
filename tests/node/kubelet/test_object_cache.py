"""What pods refer to: read directly until it is watched, and nothing that comes in between is missed."""

import pytest

from kubeshim.machinery import errors
from kubeshim.node.kubelet import object_cache
from tests import fake_api


class World:
    """An API whose informers' first lists wait for the answer to a direct question, and that for them."""

    def __init__(self):
        self.api, self.told = fake_api.FakeApi(), []
        self.client = self.api.client()
        self.cache = object_cache.ObjectCache(self.client, self.told.append)
        self.key = ("", "", "")

    def answer_late(self, key, created):
        """``created`` comes to be after the answer was made up, and is seen by the informer before it arrives."""
        self.key, kind = key, created["kind"]
        where = {"ConfigMap": ("v1", "configmaps"), "ClusterTrustBundle": _BUNDLES}[kind]
        asked = []

        def hook(handler, method, path):
            if method != "GET" or where[1] not in path or "watch=" in handler.path:
                return False
            if "resourceVersion=0" in handler.path:
                fake_api.eventually(lambda: asked)
                return False
            self.api.create(where, created["metadata"].get("namespace", ""), created)
            asked.append(path)
            assert self.cache._informers[self.key].wait_for_sync(60)
            if path.endswith(where[1]):
                handler.send(200, {"kind": f"{kind}List", "apiVersion": where[0], "metadata": {}, "items": []})
            else:
                handler.refuse(errors.not_found("", where[1], key[2]))
            return True

        self.api.hooks.append(hook)


_BUNDLES = ("certificates.k8s.io/v1", "clustertrustbundles")


@pytest.fixture
def world():
    made = World()
    yield made
    made.cache.close()
    made.client.close()
    made.api.stop()


def test_an_object_made_while_it_was_asked_for_is_told(world):
    key = ("ConfigMap", "default", "a")
    world.answer_late(key, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}})
    world.cache.need("uid", [key])
    assert world.cache.get(*key) is None
    assert world.told == [key] and world.cache.get(*key) is not None


def test_one_of_all_made_while_they_were_listed_is_told(world):
    key = ("ClusterTrustBundle", "", object_cache.EVERY)
    world.answer_late(key, {"apiVersion": _BUNDLES[0], "kind": key[0], "metadata": {"name": "a"}})
    world.cache.need("uid", [key])
    assert world.cache.every("ClusterTrustBundle") == []
    assert world.told == [key] and len(world.cache.every("ClusterTrustBundle")) == 1


def test_what_was_read_already_is_no_news(world):
    key = ("ConfigMap", "default", "a")
    world.api.create(("v1", "configmaps"), "default", {"metadata": {"name": "a"}})
    assert world.cache.get(*key) is not None
    world.cache.need("uid", [key])
    assert world.cache._informers[key].wait_for_sync(60)
    assert world.told == []
