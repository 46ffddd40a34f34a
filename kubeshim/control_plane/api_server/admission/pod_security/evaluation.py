"""Which checks make up a level in a version, and asking them."""

import dataclasses
import functools
from collections.abc import Callable

from kubeshim.control_plane.api_server.admission.pod_security import baseline, levels, restricted, wording

Test = Callable[[wording.Metadata, wording.Spec, int], wording.Violation | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """A test that applies from minor version ``since`` until before ``until``.

    A check of the restricted level may take the place of a laxer one of the baseline (``instead_of``).
    """

    name: str
    test: Test
    since: int = 0
    until: int = levels.LATEST + 1
    instead_of: str = ""


BASELINE = (
    Check("appArmorProfile", baseline.app_armor_profile),
    Check("capabilities_baseline", baseline.capabilities),
    Check("hostNamespaces", baseline.host_namespaces),
    Check("hostPathVolumes", baseline.host_path_volumes),
    Check("hostPorts", baseline.host_ports),
    Check("hostProbesAndHostLifecycle", baseline.host_probes, since=34),
    Check("privileged", baseline.privileged),
    Check("procMount", baseline.proc_mount, until=35),
    Check("procMount", baseline.proc_mount_relaxed, since=35),
    Check("seLinuxOptions", baseline.selinux_options),
    Check("seccompProfile_baseline", baseline.seccomp_annotations, until=19),
    Check("seccompProfile_baseline", baseline.seccomp_profile, since=19),
    Check("sysctls", baseline.sysctls),
    Check("windowsHostProcess", baseline.windows_host_process),
)
"""In the order in which violations are told."""
RESTRICTED = (
    Check("allowPrivilegeEscalation", restricted.privilege_escalation, since=8),
    Check("capabilities_restricted", restricted.capabilities, since=22, instead_of="capabilities_baseline"),
    Check("procMount_restricted", baseline.proc_mount, since=35, instead_of="procMount"),
    Check("restrictedVolumes", restricted.volumes, instead_of="hostPathVolumes"),
    Check("runAsNonRoot", restricted.run_as_non_root),
    Check("runAsUser", restricted.run_as_user, since=23),
    Check("seccompProfile_restricted", restricted.seccomp_profile, since=19, instead_of="seccompProfile_baseline"),
)


@functools.lru_cache(maxsize=256)
def checks(wanted: levels.LevelVersion) -> tuple[Test, ...]:
    if wanted.level == levels.PRIVILEGED:
        return ()
    strict = [check for check in RESTRICTED if check.since <= wanted.minor < check.until]
    if wanted.level != levels.RESTRICTED:
        strict = []
    replaced = {check.instead_of for check in strict}
    lax = [check for check in BASELINE if check.since <= wanted.minor < check.until and check.name not in replaced]
    return tuple(check.test for check in [*lax, *strict])


def violations(wanted: levels.LevelVersion, metadata: wording.Metadata, spec: wording.Spec) -> list[wording.Violation]:
    found = (test(metadata, spec, wanted.minor) for test in checks(wanted))
    return [violation for violation in found if violation is not None]


def reasons(found: list[wording.Violation]) -> str:
    return ", ".join(violation.reason for violation in found)


def details(found: list[wording.Violation]) -> str:
    return ", ".join(f"{one.reason} ({one.detail})" if one.detail else one.reason for one in found)
