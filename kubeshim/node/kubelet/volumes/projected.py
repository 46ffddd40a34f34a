"""``projected``: several sources in one directory in memory; tokens and certificates are renewed in time."""

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import mounts
from kubeshim.node.kubelet.volumes import atomic_writer, sources, trust_bundles, volume


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    source = spec["projected"]
    mode = sources.default_mode(source)
    payload: dict[str, atomic_writer.File] = {}
    watched: list[tuple[str, str]] = []
    refresh_at = 0.0
    for index, part in enumerate(source.get("sources") or ()):
        if part.get("serviceAccountToken"):
            files, moment = sources.service_account_token(part["serviceAccountToken"], context, mode)
            refresh_at = min(refresh_at or moment, moment)
        elif part.get("configMap"):
            files = sources.config_map(part["configMap"], context, mode)
            watched.append(("ConfigMap", part["configMap"].get("name") or ""))
        elif part.get("secret"):
            files = sources.secret(part["secret"], context, mode)
            watched.append(("Secret", part["secret"].get("name") or ""))
        elif part.get("downwardAPI"):
            files = sources.downward_api(part["downwardAPI"], context, mode)
        elif part.get("clusterTrustBundle"):
            files = sources.cluster_trust_bundle(part["clusterTrustBundle"], context, mode)
            watched.append((trust_bundles.KIND, part["clusterTrustBundle"].get("name") or ""))
        elif part.get("podCertificate"):
            credentials = context.certificate(context.pod, spec["name"], index, part["podCertificate"])
            files = sources.pod_certificate(part["podCertificate"], credentials, context, mode)
            refresh_at = min(refresh_at or credentials.refresh_at, credentials.refresh_at)
        else:
            kinds = ", ".join(sorted(part)) or "nothing"
            raise volume.VolumeProblem(f"projected volume source not supported by this kubelet: {kinds}")
        payload |= files
    mounts.tmpfs(directory)
    atomic_writer.write(directory, payload, context.fs_group)
    return volume.Made(directory, refresh_at=refresh_at, watched=watched)
