"""A pod's resize from round to round: granted or put off, carried out, and told in events."""

from collections.abc import Sequence

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import actions, admission, observation, parts, pod_worker, resize

RETRY_SECONDS = 3.0
"""Other pods may have left by then."""


def grant(shared: parts.Parts, work: pod_worker.Work, others: Sequence[Object]) -> float | None:
    """What the pod asks for now, where that has changed and there is room beside the ``others``.

    Seconds after which to come again, where it is put off. What an earlier kubelet process put off stays so at first:
    not all of the others may be known yet.
    """
    pod = work.current
    wanted = resize.asked(pod)
    if wanted == work.granted:
        work.resize_pending = None
        return None
    if not work.adopted:
        work.resize_pending = resize.told_pending(pod)
        return RETRY_SECONDS
    refusal = admission.refuse_resize(pod, others, shared.node() or {})
    if refusal is None:
        work.granted, work.resize_pending, work.resizing = wanted, None, True
        shared.recorder.event(pod, "Normal", "ResizeStarted", f"Pod resize started: {resize.report(pod)}")
        return None
    reason, message = refusal
    pending, before = resize.Pending(reason, message, resize.generation(pod)), work.resize_pending
    work.resize_pending = pending
    if before is None or (before.reason, before.generation) != (reason, pending.generation):
        text = f"Pod resize {reason}: {resize.report(pod, message)}"
        shared.recorder.event(pod, "Warning", f"Resize{reason}", text)
    return RETRY_SECONDS


def carry_out(
    shared: parts.Parts, work: pod_worker.Work, found: observation.Observation, *, starting: bool
) -> list[actions.Kill]:
    """Returns containers to restart for it. ``starting`` says that some are to be started in this round."""
    before = work.resize_problem
    kills, work.resize_problem = resize.apply(shared, work.pod, found, work.resized)
    if work.resize_problem and work.resize_problem != before:
        text = f"Pod resize error: {resize.report(work.pod, work.resize_problem)}"
        shared.recorder.event(work.pod, "Warning", "ResizeError", text)
    if work.resizing and not (kills or starting or work.resize_problem):
        work.resizing = False
        text = f"Pod resize completed: {resize.report(work.pod)}"
        shared.recorder.event(work.pod, "Normal", "ResizeCompleted", text)
    return kills
