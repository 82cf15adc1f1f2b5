"""Does to a server what people do with Kubernetes' own Python client, and prints what it sees, a line each.

    kubernetes_check.py KUBECONFIG WHAT

WHAT is `write`, which makes, lists, changes and deletes; or `follow`, which keeps a copy of the games until its input
ends, list and watch as the client's documentation has it, and prints the copy whenever it is asked to by a line.
Whatever is wrong ends it with a traceback.
"""

import json
import sys
import threading
import time

import urllib3
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

GROUP = ("gamekeeper.dev", "v1")
GAMES = (*GROUP, "default", "games")

config.load_kube_config(sys.argv[1])
objects = client.CustomObjectsApi()


def game(name, **spec):
    return {
        "apiVersion": "gamekeeper.dev/v1",
        "kind": "Game",
        "metadata": {"name": name, "labels": {"season": "7"}},
        "spec": {"desiredStatus": "Running", **spec},
    }


def refused(code, reason, call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except ApiException as error:
        status = json.loads(error.body)
        assert (error.status, status["reason"], status["kind"]) == (code, reason, "Status"), error
        assert status["message"], error
        return status
    raise AssertionError(f"{code} {reason} did not come")


def names(listed):
    return [item["metadata"]["name"] for item in listed["items"]]


def by_hand():
    """CustomObjectsApi and CoreV1Api, with plain dictionaries."""
    version = client.VersionApi().get_code()
    assert (version.major, version.minor.isdigit()) == ("1", True), version
    kinds = {kind.name: kind for kind in objects.get_api_resources(*GROUP).resources}
    assert kinds["games"].namespaced and "watch" in kinds["games"].verbs, kinds
    assert "gamekeeper.dev" in [group.name for group in client.ApisApi().get_api_versions().groups]

    objects.create_cluster_custom_object(
        *GROUP, "engineversions", {**game("1.4.2"), "kind": "EngineVersion", "spec": {"image": "engine:1.4.2"}}
    )
    for number in range(7):
        made = objects.create_namespaced_custom_object(*GAMES, game(f"g-{number}", engineVersion="1.4.2"))
        assert made["metadata"]["uid"] and made["metadata"]["resourceVersion"], made
    objects.create_namespaced_custom_object(*GAMES, game("tried"), dry_run="All")
    refused(409, "AlreadyExists", objects.create_namespaced_custom_object, *GAMES, game("g-1"))
    refused(404, "NotFound", objects.get_namespaced_custom_object, *GAMES, "nobody")
    told = refused(422, "Invalid", objects.create_namespaced_custom_object, *GAMES, game("bad", paint="red"))
    assert [cause["field"] for cause in told["details"]["causes"]] == ["spec.paint"], told

    page, seen = objects.list_namespaced_custom_object(*GAMES, limit=3), []
    while True:
        seen += names(page)
        if not page["metadata"].get("continue"):
            break
        page = objects.list_namespaced_custom_object(*GAMES, limit=3, _continue=page["metadata"]["continue"])
    assert seen == [f"g-{number}" for number in range(7)], seen
    assert len(objects.list_cluster_custom_object(*GROUP, "games")["items"]) == 7
    assert names(objects.list_namespaced_custom_object(*GAMES, label_selector="season=8")) == []
    assert names(objects.list_namespaced_custom_object(*GAMES, field_selector="metadata.name=g-3")) == ["g-3"]

    merged = objects.patch_namespaced_custom_object(*GAMES, "g-1", {"spec": {"paused": True}})
    assert merged["spec"]["paused"] is True, merged
    steps = [{"op": "replace", "path": "/spec/paused", "value": False}]
    stepped = objects.patch_namespaced_custom_object(*GAMES, "g-1", steps)
    assert stepped["spec"]["paused"] is False, stepped
    scaled = objects.patch_namespaced_custom_object_scale(*GAMES, "g-1", {"spec": {"replicas": 0}})
    assert scaled["kind"] == "Scale" and scaled["spec"]["replicas"] == 0, scaled
    assert objects.get_namespaced_custom_object_status(*GAMES, "g-1")["spec"]["desiredStatus"] == "Stopped"
    refused(403, "Forbidden", objects.patch_namespaced_custom_object_status, *GAMES, "g-1", {"status": {}})

    read = objects.get_namespaced_custom_object(*GAMES, "g-2")
    read["spec"]["displayName"] = "Two"
    fresh = objects.replace_namespaced_custom_object(*GAMES, "g-2", read)
    assert fresh["spec"]["displayName"] == "Two", fresh
    refused(409, "Conflict", objects.replace_namespaced_custom_object, *GAMES, "g-2", read)
    refused(409, "Conflict", objects.delete_cluster_custom_object, *GROUP, "engineversions", "1.4.2")

    body = client.V1DeleteOptions(propagation_policy="Foreground", grace_period_seconds=0)
    going = objects.delete_namespaced_custom_object(*GAMES, "g-3", body=body)
    assert going["metadata"]["deletionTimestamp"], going
    stale = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    refused(409, "Conflict", objects.delete_namespaced_custom_object, *GAMES, "g-4", body=stale)

    core = client.CoreV1Api()
    events = core.list_namespaced_event("default", field_selector="involvedObject.name=g-0")
    assert [(event.type, event.reason, event.count) for event in events.items] == [("Warning", "Told", 1)], events
    assert events.items[0].last_timestamp.tzinfo and events.items[0].involved_object.kind == "Game", events
    first = next(iter(watch.Watch().stream(core.list_event_for_all_namespaces, timeout_seconds=10)))
    assert (first["type"], first["object"].reason) == ("ADDED", "Told"), first


def dynamically():
    """The dynamic client, which learns everything from discovery."""
    found = dynamic.DynamicClient(client.ApiClient()).resources
    games = found.get(api_version="gamekeeper.dev/v1", kind="Game")
    assert games.name == "games" and games.namespaced and "gm" in games.short_names, games
    assert not found.get(api_version="gamekeeper.dev/v1", kind="EngineVersion").namespaced
    made = games.create(body=game("d-1", turns={"schedule": "0 18 * * *"}), namespace="default")
    assert made.spec.turns.schedule == "0 18 * * *", made
    assert games.get(name="d-1", namespace="default").metadata.uid == made.metadata.uid
    merge = "application/merge-patch+json"
    games.patch(name="d-1", namespace="default", body={"spec": {"paused": True}}, content_type=merge)
    refused(415, "UnsupportedMediaType", games.patch, name="d-1", namespace="default", body={"spec": {}})
    applied = {"apiVersion": "gamekeeper.dev/v1", "kind": "Game", "metadata": {"name": "d-1"}}
    applied["spec"] = {"paused": False}
    told = refused(409, "Conflict", games.server_side_apply, applied, namespace="default", field_manager="bot")
    assert [cause["field"] for cause in told["details"]["causes"]] == [".spec.paused"], told
    taken = games.server_side_apply(applied, namespace="default", field_manager="bot", force_conflicts=True)
    assert taken.spec.paused is False and taken.spec.turns.schedule == "0 18 * * *", taken
    scaled = games.scale.get(name="d-1", namespace="default")
    assert (scaled.kind, scaled.spec.replicas) == ("Scale", 1), scaled
    lines = games.watch(namespace="default", name="d-1", timeout=10, resource_version=0)
    first = next(iter(lines))
    assert (first["type"], first["object"].metadata.name) == ("ADDED", "d-1"), first
    games.delete(name="d-1", namespace="default")


def follow():
    """Lists, watches from there, and lists again when told that what it knows is too old."""
    copy, lock, told = {}, threading.Lock(), []

    def key(item):
        return item["metadata"]["name"], item["metadata"]["resourceVersion"]

    def keep():
        while True:
            try:
                listed = objects.list_namespaced_custom_object(*GAMES)
                with lock:
                    copy.clear()
                    copy.update(map(key, listed["items"]))
                    told.append("listed")
                version = listed["metadata"]["resourceVersion"]
                lines = watch.Watch().stream(
                    objects.list_namespaced_custom_object, *GAMES, resource_version=version, timeout_seconds=600
                )
                for line in lines:
                    name, version = key(line["object"])
                    with lock:
                        told.append(f"{line['type']} {name}")
                        if line["type"] == "DELETED":
                            del copy[name]
                        else:
                            copy[name] = version
            except ApiException as error:
                assert error.status == 410, error
                with lock:
                    told.append("expired")
            except (urllib3.exceptions.HTTPError, OSError):
                time.sleep(0.1)

    threading.Thread(target=keep, daemon=True).start()
    for _ in sys.stdin:
        with lock:
            print(json.dumps({"copy": copy, "told": told}), flush=True)
            told.clear()


if sys.argv[2] == "write":
    by_hand()
    dynamically()
    print("done")
else:
    follow()
