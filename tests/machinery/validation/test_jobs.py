"""Jobs and CronJobs: what they must be, what may change, and what their status may say."""
# ruff: noqa: E501 (texts stand as they are sent)

import copy

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import cron_jobs, job_status, job_updates, jobs, schedules
from tests.machinery.validation import tables

JOB = resources.GroupVersionKind("batch", "v1", "Job")
CRON_JOB = resources.GroupVersionKind("batch", "v1", "CronJob")
LABELS = {
    "controller-uid": "u", "job-name": "x", "batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "x",
}  # fmt: skip
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "d:1"}]},
}


def job(changes, status=None):
    spec = {
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
        "template": copy.deepcopy(TEMPLATE),
        **copy.deepcopy(changes),
    }
    obj = {"metadata": {"name": "x", "uid": "u"}, "spec": spec, "status": status or {}}
    return tables.filled(JOB, obj)


JOBS = """
{}
{parallelism: -1, completions: -1, activeDeadlineSeconds: -1, backoffLimit: -1, ttlSecondsAfterFinished: -1}
    spec.parallelism: Invalid value: -1: $NEGATIVE
    spec.completions: Invalid value: -1: $NEGATIVE
    spec.activeDeadlineSeconds: Invalid value: -1: $NEGATIVE
    spec.backoffLimit: Invalid value: -1: $NEGATIVE
    spec.ttlSecondsAfterFinished: Invalid value: -1: $NEGATIVE
{completionMode: Other}
    spec.completionMode: Unsupported value: "Other": supported values: "NonIndexed", "Indexed"
{completionMode: Indexed, parallelism: 1}
    spec.completions: Required value: when completion mode is Indexed
{completionMode: Indexed, completions: 2, parallelism: 100001}
    spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed
{backoffLimitPerIndex: 1}
    spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode
{maxFailedIndexes: 1}
    spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified
    spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode
{completionMode: Indexed, completions: 2, backoffLimitPerIndex: 1, maxFailedIndexes: 3}
    spec.maxFailedIndexes: Invalid value: 3: must be less than or equal to completions
{completionMode: Indexed, completions: 100001, parallelism: 10001, backoffLimitPerIndex: 1}
    spec.maxFailedIndexes: Required value: must be specified when completions is above 100000
    spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index
{managedBy: x}
    spec.managedBy: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")
{podReplacementPolicy: Other}
    spec.podReplacementPolicy: Unsupported value: "Other": supported values: "Failed", "TerminatingOrFailed"
{podReplacementPolicy: TerminatingOrFailed, podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: A}]}]}}
    spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"
{podFailurePolicy: {rules: [{action: "", onExitCodes: {operator: In, values: [1]}}]}}
    spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]
{podFailurePolicy: {rules: [{action: Other, onExitCodes: {operator: Is, values: [2, 1, 1], containerName: z}}]}}
    spec.podFailurePolicy.rules[0].action: Unsupported value: "Other": supported values: "Count", "FailIndex", "FailJob", "Ignore"
    spec.podFailurePolicy.rules[0].onExitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"
    spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "z": must be one of the container or initContainer names in the pod template
    spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 1
    spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1,1]: must be ordered
{podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [0]}}]}}
    spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator
{podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: []}}]}}
    spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: []: at least one value is required
{podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {operator: In, values: [1]}}]}}
    spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set
{podFailurePolicy: {rules: [{action: FailJob}]}}
    spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required
{podFailurePolicy: {rules: [{action: FailJob, onPodConditions: [{type: "a b", status: Maybe}]}]}}
    spec.podFailurePolicy.rules[0].onPodConditions[0].type: Invalid value: "a b": $QUALIFIED
    spec.podFailurePolicy.rules[0].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"
{successPolicy: {rules: [{succeededCount: 1}]}}
    spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: requires indexed completion mode
{completionMode: Indexed, completions: 5, successPolicy: {rules: []}}
    spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified
{completionMode: Indexed, completions: 5, successPolicy: {rules: [{}]}}
    spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified
{completionMode: Indexed, completions: 5, successPolicy: {rules: [{succeededIndexes: 0-7}]}}
    spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-7": error parsing succeededIndexes: too large index: "7"
{completionMode: Indexed, completions: 5, successPolicy: {rules: [{succeededIndexes: "0-2", succeededCount: 4}]}}
    spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of indexes in the specified succeededIndexes field)
{completionMode: Indexed, completions: 5, successPolicy: {rules: [{succeededCount: 6}]}}
    spec.successPolicy.rules[0].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified completions)
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(JOBS))
def test_jobs(changes, expected):
    assert tables.texts(jobs.job(job(changes))) == expected


RESTARTS = """
Always
    spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
OnFailure
Never
Other
    spec.template.spec.restartPolicy: Unsupported value: "Other": supported values: "Always", "OnFailure", "Never"
    spec.template.spec.restartPolicy: Unsupported value: "Other": supported values: "OnFailure", "Never"
"""


@pytest.mark.parametrize(("policy", "expected"), tables.rows(RESTARTS))
def test_restart_policies(policy, expected):
    assert (
        tables.texts(jobs.job(job({"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": policy}}})))
        == expected
    )


def test_selectors_are_the_servers():
    obj = job({"selector": {"matchLabels": {"a": "b"}}})
    assert tables.texts(jobs.job(obj)) == [
        'spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` not auto-generated',
        "spec.template.metadata.labels: Invalid value: "
        '{"batch.kubernetes.io/controller-uid":"u","batch.kubernetes.io/job-name":"x","controller-uid":"u","job-name":"x"}: '
        "`selector` does not match template `labels`",
    ]
    long = job({"completionMode": "Indexed", "completions": 10})
    long["metadata"]["name"] = long["spec"]["template"]["metadata"]["labels"]["job-name"] = "x" * 62
    assert any("will not able to create pod with invalid DNS label" in text for text in tables.texts(jobs.job(long)))


CHANGES = """
[{}, {completions: 1, parallelism: 3, backoffLimit: 2, activeDeadlineSeconds: 9, ttlSecondsAfterFinished: 1, suspend: true}]
[{completions: 1}, {completions: 2}]
    spec.completions: Invalid value: 2: field is immutable
[{completionMode: Indexed, completions: 1, parallelism: 1}, {completionMode: Indexed, completions: 2, parallelism: 2}]
[{completionMode: Indexed, completions: 1, parallelism: 1}, {completionMode: Indexed, completions: 2, parallelism: 1}]
    spec.completions: Invalid value: 2: can only be modified in tandem with spec.parallelism
[{completions: 1}, {completions: 1, completionMode: Indexed}]
    spec.completionMode: Invalid value: "Indexed": field is immutable
[{}, {managedBy: a.com/b}]
    spec.managedBy: Invalid value: "a.com/b": field is immutable
[{}, {podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: A}]}]}}]
    spec.podFailurePolicy: Invalid value: {"Rules":[{"Action":"Ignore","OnExitCodes":null,"OnPodConditions":[{"Type":"A","Status":"True"}]}]}: field is immutable
"""


@pytest.mark.parametrize(("pair", "expected"), tables.rows(CHANGES))
def test_changes(pair, expected):
    old, new = map(job, pair)
    assert tables.texts(job_updates.change(new, old)) == expected


def test_templates_change_only_at_rest():
    other = copy.deepcopy(TEMPLATE)
    other["spec"]["nodeSelector"] = {"a": "b"}
    other["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    running, resting = job({}), job({"suspend": True})
    (problem,) = job_updates.change(job({"template": other}), running)
    assert problem.field == "spec.template"
    assert str(problem).endswith(": field is immutable")
    assert job_updates.change(job({"template": other}), resting) == []
    other["spec"]["containers"][0]["image"] = "e:1"
    (problem,) = job_updates.change(job({"template": other}), resting)
    assert problem.field == "spec.template.spec"


MET = '[{type: SuccessCriteriaMet, status: "True"}, {type: Complete, status: "True"}]'
STATUSES = f"""
[{{}}, {{active: 1, ready: 1, startTime: "2026-01-01T00:00:00Z"}}]
[{{}}, {{active: -1, failed: -1}}]
    status.active: Invalid value: -1: $NEGATIVE
    status.failed: Invalid value: -1: $NEGATIVE
    status.ready: Invalid value: 0: cannot set more ready pods than active
    status.failed: Invalid value: -1: cannot decrease the failed counter
[{{}}, {{active: 1, ready: 2}}]
    status.ready: Invalid value: 2: cannot set more ready pods than active
[{{}}, {{startTime: "2026-01-01T00:00:00Z", completionTime: "2026-01-01T00:00:01Z", conditions: {MET}}}]
[{{}}, {{startTime: "2026-01-01T00:00:02Z", completionTime: "2026-01-01T00:00:01Z", conditions: {MET}}}]
    status.completionTime: Invalid value: "2026-01-01T00:00:01Z": must be equal to or after `startTime`
[{{}}, {{conditions: {MET}}}]
    status.completionTime: Required value: completionTime is required for Complete jobs
    status.startTime: Required value: startTime is required for finished job
[{{}}, {{startTime: "2026-01-01T00:00:00Z", completionTime: "2026-01-01T00:00:01Z"}}]
    status.completionTime: Invalid value: "2026-01-01T00:00:01Z": cannot set completionTime when there is no Complete=True condition
[{{}}, {{startTime: "2026-01-01T00:00:00Z", completionTime: "2026-01-01T00:00:01Z", conditions: [{{type: Complete, status: "True"}}]}}]
    status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition
[{{}}, {{startTime: "2026-01-01T00:00:00Z", conditions: [{{type: Failed, status: "True"}}]}}]
    status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition
[{{}}, {{startTime: "2026-01-01T00:00:00Z", active: 1, terminating: 1, completionTime: "2026-01-01T00:00:01Z", conditions: {MET}}}]
    status.active: Invalid value: 1: active>0 is invalid for finished job
    status.terminating: Invalid value: 1: terminating>0 is invalid for finished job
[{{failed: 2, succeeded: 2}}, {{failed: 1, succeeded: 1}}]
    status.failed: Invalid value: 1: cannot decrease the failed counter
    status.succeeded: Invalid value: 1: cannot decrease the succeeded counter
[{{startTime: "2026-01-01T00:00:00Z"}}, {{}}]
    status.startTime: Required value: startTime cannot be removed for unsuspended job
[{{}}, {{completedIndexes: "0"}}]
    status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode
[{{}}, {{failedIndexes: "0"}}]
    status.failedIndexes: Invalid value: "0": cannot set non-null failedIndexes when backoffLimitPerIndex is null
[{{}}, {{uncountedTerminatedPods: {{succeeded: [a, ""], failed: [a]}}}}]
    status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty
    status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"
[{{conditions: {MET}}}, {{}}]
    status.conditions: Invalid value: cannot disable the terminal Complete=True condition
    status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition
"""


@pytest.mark.parametrize(("pair", "expected"), tables.rows(STATUSES))
def test_statuses(pair, expected):
    old, new = (job({}, status) for status in pair)
    assert tables.texts(job_status.status(new, old)) == expected


def cron_job(changes):
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": TEMPLATE["spec"]}}}, **changes}
    return tables.filled(CRON_JOB, {"metadata": {"name": "x"}, "spec": copy.deepcopy(spec)})


CRON_JOBS = """
{}
{schedule: ""}
    spec.schedule: Required value
{schedule: error}
    spec.schedule: Invalid value: "error": expected exactly 5 fields, found 1: [error]
{schedule: "TZ=UTC 0 * * * *"}
    spec.schedule: Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead
{timeZone: ""}
    spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string
{timeZone: America/Nowhere}
    spec.timeZone: Invalid value: "America/Nowhere": unknown time zone America/Nowhere
{timeZone: a..b}
    spec.timeZone: Invalid value: "a..b": time: invalid location name
{timeZone: Local}
    spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones
{startingDeadlineSeconds: -1, successfulJobsHistoryLimit: -1, failedJobsHistoryLimit: -1}
    spec.startingDeadlineSeconds: Invalid value: -1: $NEGATIVE
    spec.successfulJobsHistoryLimit: Invalid value: -1: $NEGATIVE
    spec.failedJobsHistoryLimit: Invalid value: -1: $NEGATIVE
{concurrencyPolicy: Other}
    spec.concurrencyPolicy: Unsupported value: "Other": supported values: "Allow", "Forbid", "Replace"
{jobTemplate: {spec: {selector: {matchLabels: {a: b}}, template: {spec: {restartPolicy: Never, containers: [{name: c, image: d}]}}}}}
    spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated
{jobTemplate: {spec: {manualSelector: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: d}]}}}}}
    spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"
{jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: d}]}}}}}
    spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(CRON_JOBS))
def test_cron_jobs(changes, expected):
    assert tables.texts(cron_jobs.create(cron_job(changes))) == expected


def test_names_and_zones_of_cron_jobs():
    long = cron_job({})
    long["metadata"]["name"] = "x" * 53
    assert tables.texts(cron_jobs.create(long)) == [
        f'metadata.name: Invalid value: "{"x" * 53}": must be no more than 52 characters'
    ]
    zoned = cron_job({"schedule": "TZ=UTC 0 * * * *"})
    assert cron_jobs.change(zoned, zoned) == []
    assert cron_jobs.warn(zoned, zoned) == [
        "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
        "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("*/5 0-3 1,15 jan mon-fri", ""),
        ("@hourly", ""),
        ("@every 1h30m", ""),
        ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
        ("@never", "unrecognized descriptor: @never"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("*/2/3 * * * *", "too many slashes: */2/3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
    ],
)  # fmt: skip
def test_schedules(text, problem):
    assert schedules.problem(text) == problem
