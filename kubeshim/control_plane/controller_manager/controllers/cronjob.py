"""CronJobs: a Job at every time of a schedule.

The queue's timer of each CronJob is set to its next time. Times that passed while nobody looked are not made up
for, but for the last one, if ``startingDeadlineSeconds`` allows. Job names carry the minute of their time, so that
a time that is tried twice makes one Job.
"""

import copy
import datetime
import logging

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import conditions, controller, cron, indexes, pod_control
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.validation import fields

_log = logging.getLogger(__name__)

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY = 100
UNSUPPORTED = (
    "CRON_TZ or TZ used in schedule {} is not officially supported, see "
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)


class CronJobController(controller.Controller):
    name = "cronjob"

    def register(self) -> None:
        self._crons = self.watch(kinds.CRON_JOBS)
        self._jobs = indexes.by_controller(self.informer(kinds.JOBS))
        self._jobs.add_handler(
            added=self._job_changed, updated=lambda _, new: self._job_changed(new), deleted=self._job_changed
        )

    def _job_changed(self, job: Object) -> None:
        reference = objects.controller_of(job)
        if reference is not None and reference["kind"] == "CronJob":
            self.queue.add(f"{objects.namespace(job)}/{reference['name']}")

    def sync(self, key: str) -> float | None:
        cron_job = self._crons.get(key)
        if cron_job is None:
            return None
        mine = self._jobs.by_index("controller", objects.uid(cron_job))
        cron_job = self._settle(cron_job, mine)
        self._clean_up(cron_job, mine)
        if objects.is_deleting(cron_job) or cron_job["spec"].get("suspend"):
            return None
        try:
            named = cron.zone(cron_job["spec"].get("timeZone") or "")
        except cron.CronError as error:
            text = f'invalid timeZone: "{cron_job["spec"]["timeZone"]}": {error}'
            self.recorder.event(cron_job, "Warning", "UnknownTimeZone", text)
            return None
        if "TZ" in cron_job["spec"]["schedule"]:
            text = UNSUPPORTED.format(fields.quote(cron_job["spec"]["schedule"]))
            self.recorder.event(cron_job, "Warning", "UnsupportedSchedule", text)
        try:
            schedule, own_zone = cron.parse(cron_job["spec"]["schedule"])
            zone = named if cron_job["spec"].get("timeZone") else cron.zone(own_zone)
        except cron.CronError as error:
            text = f'unparseable schedule: "{cron_job["spec"]["schedule"]}" : {error}'
            self.recorder.event(cron_job, "Warning", "UnparseableSchedule", text)
            return None
        now = self.clock.now()
        if schedule.after(now.astimezone(zone)) is None:
            # upstream's way to tell of a day that no month has
            why = "time difference between two schedules is less than 1 second"
            text = f"invalid schedule: {cron_job['spec']['schedule']} : {why}"
            self.recorder.event(cron_job, "Warning", "InvalidSchedule", text)
            return None
        due, missed = last_due(cron_job, schedule, zone, now)
        if missed > MANY:
            text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.recorder.event(cron_job, "Warning", "TooManyMissedTimes", text)
        if due is not None:
            self._start(cron_job, due, now)
        following = schedule.after(now.astimezone(zone))
        return None if following is None else max(0.0, (following - now).total_seconds()) + 0.05

    def _settle(self, cron_job: Object, mine: list[Object]) -> Object:
        """Brings ``status.active`` and the last times up to date."""
        status = copy.deepcopy(cron_job.get("status") or {})
        running = {objects.uid(job): job for job in mine if finished(job) is None}
        ended = {objects.uid(job): job for job in mine if finished(job) is not None}
        cron_job, status = self._recognize(cron_job, status, running)
        active = []
        for reference in status.get("active") or ():
            if reference.get("uid") in running:
                active.append(reference)
            elif reference.get("uid") in ended:
                job = ended[reference["uid"]]
                text = f"Saw completed job: {objects.name(job)}, condition: {finished(job)}"
                self.recorder.event(cron_job, "Normal", "SawCompletedJob", text)
            elif self._live(reference) is not None:  # the cache is only behind
                active.append(reference)
            else:
                text = f"Active job went missing: {reference.get('name')}"
                self.recorder.event(cron_job, "Normal", "MissingJob", text)
        for job in ended.values():
            done = objects.dig(job, "status", "completionTime")
            if finished(job) == "Complete" and done and done > (status.get("lastSuccessfulTime") or ""):
                status["lastSuccessfulTime"] = done
        status["active"] = active
        if not active:
            del status["active"]
        if status == (cron_job.get("status") or {}):
            return cron_job
        return self.client.update(kinds.CRON_JOBS, {**cron_job, "status": status}, subresource="status")

    def _live(self, reference: Object) -> Object | None:
        """The very job, as the server has it."""
        try:
            job = self.client.get(kinds.JOBS, reference["name"], reference["namespace"])
        except errors.NotFound:
            return None
        return job if objects.uid(job) == reference.get("uid") else None

    def _recognize(self, cron_job: Object, status: Object, running: dict[str, Object]) -> tuple[Object, Object]:
        """Tells of running jobs that the status does not know, unless the cache is only behind."""
        known = {one.get("uid") for one in status.get("active") or ()}
        strange = [job for uid, job in running.items() if uid not in known]
        if strange:
            cron_job = self.client.get(kinds.CRON_JOBS, objects.name(cron_job), objects.namespace(cron_job))
            status = copy.deepcopy(cron_job.get("status") or {})
            known = {one.get("uid") for one in status.get("active") or ()}
        for job in strange:
            if objects.uid(job) not in known:
                text = f"Saw a job that the controller did not create or forgot: {objects.name(job)}"
                self.recorder.event(cron_job, "Warning", "UnexpectedJob", text)
        return cron_job, status

    def _clean_up(self, cron_job: Object, mine: list[Object]) -> None:
        for kind, field, default in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            limit = cron_job["spec"].get(field)
            done = sorted((job for job in mine if finished(job) == kind), key=_started)
            for job in done[: max(0, len(done) - int(default if limit is None else limit))]:
                self._delete(cron_job, job)

    def _start(self, cron_job: Object, due: datetime.datetime, now: datetime.datetime) -> None:
        deadline = cron_job["spec"].get("startingDeadlineSeconds")
        if deadline is not None and (now - due).total_seconds() > int(deadline):
            text = f"Missed scheduled time to start a job: {due.astimezone(datetime.UTC):%a, %d %b %Y %H:%M:%S} +0000"
            self.recorder.event(cron_job, "Warning", "MissSchedule", text)
            return
        active = objects.dig(cron_job, "status", "active", default=[])
        policy = cron_job["spec"].get("concurrencyPolicy") or "Allow"
        if policy == "Forbid" and active:
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.recorder.event(cron_job, "Normal", "JobAlreadyActive", text)
            return
        if policy == "Replace":
            for reference in active:
                job = self._live(reference)
                if job is not None:
                    self._delete(cron_job, job)
            active = []
        job = build(cron_job, due)
        try:
            made = self.client.create(kinds.JOBS, job)
        except errors.AlreadyExists:
            made = self.client.get(kinds.JOBS, objects.name(job), objects.namespace(job))
            if (objects.controller_of(made) or {}).get("uid") != objects.uid(cron_job):
                return  # somebody else's, and so is the status then
        except errors.APIStatusError as error:
            if not pod_control.namespace_is_going(error):
                self.recorder.event(cron_job, "Warning", "FailedCreate", f"Error creating job: {error}")
            raise
        else:
            self.metrics.cron_skew.observe((self.clock.now() - due).total_seconds())
            self.recorder.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {objects.name(made)}")
        reference = {
            "kind": "Job",
            "namespace": objects.namespace(made),
            "name": objects.name(made),
            "uid": objects.uid(made),
            "apiVersion": "batch/v1",
            "resourceVersion": objects.resource_version(made),
        }
        status = {**(cron_job.get("status") or {}), "lastScheduleTime": clock.rfc3339(due)}
        if finished(made) is None and all(one["uid"] != reference["uid"] for one in active):
            status["active"] = [*active, reference]
        self.client.update(kinds.CRON_JOBS, {**cron_job, "status": status}, subresource="status")

    def _delete(self, cron_job: Object, job: Object) -> None:
        options = {"propagationPolicy": "Background", "preconditions": {"uid": objects.uid(job)}}
        try:
            self.client.delete(kinds.JOBS, objects.name(job), objects.namespace(job), options=options)
        except errors.NotFound:
            return
        except errors.APIStatusError as error:
            self.recorder.event(cron_job, "Warning", "FailedDelete", f"Deleted job: {error}")
            raise
        self.recorder.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {objects.name(job)}")


def last_due(
    cron_job: Object, schedule: cron.Schedule, zone: datetime.tzinfo, now: datetime.datetime
) -> tuple[datetime.datetime | None, int]:
    """The latest time that has come and was not served, and how many there were (counted up to a hundred and one)."""
    created = objects.dig(cron_job, "metadata", "creationTimestamp")
    since = objects.dig(cron_job, "status", "lastScheduleTime") or created
    start = clock.parse_rfc3339(since) if since else now
    deadline = cron_job["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        start = max(start, now - datetime.timedelta(seconds=int(deadline)))
    due, count = None, 0
    moment = schedule.after(start.astimezone(zone))
    while moment is not None and moment <= now:
        due, count = moment, count + 1
        if count == MANY + 1:
            # The rest is skipped by starting again shortly before now.
            near = max(moment, now.astimezone(zone) - _span(schedule, moment))
            moment = schedule.after(near) if near > moment else schedule.after(moment)
            continue
        moment = schedule.after(moment)
    return due, count


def _span(schedule: cron.Schedule, moment: datetime.datetime) -> datetime.timedelta:
    """The time from ``moment`` to the second next one, at least."""
    following = schedule.after(moment) or moment
    later = schedule.after(following) or following
    return max(later - moment, datetime.timedelta(minutes=2))


def build(cron_job: Object, due: datetime.datetime) -> Object:
    template = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    zone = cron_job["spec"].get("timeZone")
    shown = due.astimezone(cron.zone(zone)).isoformat() if zone else clock.rfc3339(due)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{objects.name(cron_job)}-{int(due.timestamp()) // 60}",
            "namespace": objects.namespace(cron_job),
            "labels": dict(objects.labels(template)),
            "annotations": {**objects.annotations(template), SCHEDULED_AT: shown},
            "ownerReferences": [objects.owner_reference(cron_job)],
        },
        "spec": template["spec"],
    }


def finished(job: Object) -> str | None:
    """``Complete``, ``Failed`` or None."""
    status = job.get("status") or {}
    return next((kind for kind in ("Complete", "Failed") if conditions.is_true(status, kind)), None)


def _started(job: Object) -> tuple[str, str]:
    return str(objects.dig(job, "status", "startTime", default="")), objects.name(job)
