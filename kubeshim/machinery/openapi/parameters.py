"""The parameters of operations: their types, and what they do in a sentence or two."""

import hashlib
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    """``place`` is ``query`` or ``path``; ``type`` an OpenAPI primitive."""

    name: str
    place: str
    type: str
    description: str


def _query(name: str, type_: str, description: str) -> tuple[str, Parameter]:
    return name, Parameter(name, "query", type_, description)


_SIDE_EFFECTS = "Can be repeated. `All` is the one directive there is: every stage runs and nothing is stored."

QUERY: dict[str, Parameter] = dict([
    _query("allowWatchBookmarks", "boolean", "Asks a watch for BOOKMARK events, which carry nothing but the "
           "resourceVersion reached. A server may send none, and sends them at intervals of its own."),
    _query("command", "string", "The command to run, an argument a parameter. It is not run in a shell."),
    _query("container", "string", "The container meant. May be left out where the pod has only one."),
    _query("continue", "string", "The token of the previous page's `metadata.continue`. All other parameters must be "
           "the same. After some minutes a token expires, which is answered with 410 and, where possible, a token "
           "that goes on with newer data."),
    _query("dryRun", "string", "Asks for a request without lasting effect. " + _SIDE_EFFECTS),
    _query("fieldManager", "string", "The name of who makes this change, at most 128 printable characters. Must be "
           "given for apply patches; otherwise the beginning of the User-Agent stands in."),
    _query("fieldSelector", "string", "Narrows the list of returned objects to those whose fields match. "
           "All by default."),
    _query("fieldValidation", "string", "What to do with unknown and duplicate fields: `Ignore` drops them silently, "
           "`Warn` (the default) drops them with a Warning header each, `Strict` fails the request."),
    _query("follow", "boolean", "Keeps the stream open and goes on with what is written from now on."),
    _query("force", "boolean", "Takes over fields that another manager owns. Only for apply patches."),
    _query("gracePeriodSeconds", "integer", "Seconds before the object is removed; 0 removes it at once. Left out, "
           "the object's own period applies."),
    _query("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", "Deletes the object even where what is "
           "stored can not be read, without finalizers or preconditions. Can break what depends on it."),
    _query("insecureSkipTLSVerifyBackend", "boolean", "Does not verify the certificate of the kubelet that is asked "
           "for the log, so that it may be somebody else who answers."),
    _query("labelSelector", "string", "Narrows the list of returned objects to those whose labels match. "
           "All by default."),
    _query("limit", "integer", "The most objects one answer may hold. Where there are more, `metadata.continue` is set "
           "and leads to the next page of the same state."),
    _query("limitBytes", "integer", "Ends the output after this many bytes."),
    _query("orphanDependents", "boolean", "Deprecated: use propagationPolicy. Whether dependents stay."),
    _query("path", "string", "The path of the URL that the request is passed on to."),
    _query("ports", "integer", "The ports to forward, for protocols that name them in advance."),
    _query("pretty", "string", "`true` indents the answer for human eyes."),
    _query("previous", "boolean", "Shows the log of the container's run before this one."),
    _query("propagationPolicy", "string", "What becomes of dependents: `Orphan` leaves them, `Background` deletes them "
           "afterwards, `Foreground` before the object itself. Not together with orphanDependents."),
    _query("resourceVersion", "string", "Which state the answer must show; see resourceVersionMatch. Unset asks for "
           "the newest."),
    _query("resourceVersionMatch", "string", "How resourceVersion binds a list: `Exact` or `NotOlderThan`. On a watch "
           "only `NotOlderThan`, together with sendInitialEvents."),
    _query("sendInitialEvents", "boolean", "Has a watch begin with an ADDED event for every object there is, followed "
           "by a bookmark with the annotation `k8s.io/initial-events-end`."),
    _query("shardSelector", "string", "Restricts the objects to a part of them by a hash of a field. Not served unless "
           "switched on."),
    _query("sinceSeconds", "integer", "Leaves out lines older than this."),
    _query("stderr", "boolean", "Whether standard error is passed on."),
    _query("stdin", "boolean", "Whether standard input is passed on."),
    _query("stdout", "boolean", "Whether standard output is passed on."),
    _query("stream", "string", "Which output to show: `All`, `Stdout` or `Stderr`."),
    _query("tailLines", "integer", "Begins this many lines before the end."),
    _query("timeoutSeconds", "integer", "Ends a list or watch after this time, whatever happens."),
    _query("timestamps", "boolean", "Puts the time (RFC 3339) before each line."),
    _query("tty", "boolean", "Whether a terminal is allocated."),
    _query("watch", "boolean", "Watch for changes to the described resources, as a stream of events, instead of "
           "listing what there is."),
])  # fmt: skip

PATH: dict[str, Parameter] = {
    "name": Parameter("name", "path", "string", "name of the {kind}"),
    "namespace": Parameter("namespace", "path", "string", "the namespace the object is in"),
    "path": Parameter("path", "path", "string", "path to the resource"),
}

LIST = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch",
)  # fmt: skip
DELETE = (
    "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
    "propagationPolicy",
)  # fmt: skip
DELETE_COLLECTION = tuple(sorted({*LIST, *DELETE} - {"allowWatchBookmarks", "watch"}))
WRITE = ("dryRun", "fieldManager", "fieldValidation")
PATCH = (*WRITE, "force")

STREAMS = ("container", "stderr", "stdin", "stdout", "tty")
CONNECT: dict[str, tuple[str, ...]] = {
    "attach": STREAMS,
    "exec": ("command", *STREAMS),
    "portforward": ("ports",),
    "proxy": ("path",),
}
"""Query parameters of subresources that hand the connection on."""

LOG = (
    "container", "follow", "insecureSkipTLSVerifyBackend", "limitBytes", "previous", "sinceSeconds", "stream",
    "tailLines", "timestamps",
)  # fmt: skip


def path(name: str, kind: str) -> Parameter:
    found = PATH[name]
    return found._replace(description=found.description.format(kind=kind))


def as_v2(parameter: Parameter) -> dict[str, Any]:
    node = {
        "description": parameter.description,
        "in": parameter.place,
        "name": parameter.name,
        "type": parameter.type,
        "uniqueItems": True,
    }
    return {**node, "required": True} if parameter.place == "path" else node


def as_v3(parameter: Parameter) -> dict[str, Any]:
    node = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": {"type": parameter.type, "uniqueItems": True},
    }
    return {**node, "required": True} if parameter.place == "path" else node


def shared_name(parameter: Parameter) -> str:
    """The key under which a v2 document keeps a parameter that many operations have."""
    digest = hashlib.sha256(repr(parameter).encode()).hexdigest()
    return f"{parameter.name}-{digest[:8]}"
