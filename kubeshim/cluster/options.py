"""The components' own configuration records, out of the cluster's: one function a component.

``OPTIONS`` says which option of a section of ``cluster.json`` (upstream's names) sets which field, and how its value
is read; ``schemas/cluster.json`` lists the same names, which a test holds together.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kubeshim import pki
from kubeshim.client import kubeconfig
from kubeshim.cluster import configuration, layout, machines, routes
from kubeshim.control_plane.api_server import config as api_server_config
from kubeshim.control_plane.controller_manager import config as manager_config
from kubeshim.control_plane.scheduler import config as scheduler_config
from kubeshim.node.kubelet import config as kubelet_config

Reader = Callable[[Any], Any]
_duration: Reader = configuration.seconds
_durations: Reader = lambda value: {name: configuration.seconds(text) for name, text in value.items()}  # noqa: E731
_tuple: Reader = tuple
_as_is: Reader = lambda value: value  # noqa: E731

OPTIONS: dict[str, dict[str, tuple[str, Reader]]] = {
    "apiServer": {
        "eventTTL": ("event_ttl", _duration),
        "compactionInterval": ("compaction_interval", _duration),
        "requestTimeout": ("request_timeout", _duration),
        "minRequestTimeout": ("min_watch_timeout", _duration),
        "maxRequestsInFlight": ("max_requests_in_flight", _as_is),
        "maxMutatingRequestsInFlight": ("max_mutating_requests_in_flight", _as_is),
        "defaultNotReadyTolerationSeconds": ("default_not_ready_toleration", _as_is),
        "defaultUnreachableTolerationSeconds": ("default_unreachable_toleration", _as_is),
        "disableAdmissionPlugins": ("disabled_admission_plugins", _tuple),
        "anonymousAuth": ("anonymous", _as_is),
    },
    "controllerManager": {
        "nodeMonitorGracePeriod": ("node_monitor_grace_period", _duration),
        "nodeStartupGracePeriod": ("node_startup_grace_period", _duration),
        "nodeEvictionRate": ("node_eviction_rate", float),
        "secondaryNodeEvictionRate": ("secondary_node_eviction_rate", float),
        "unhealthyZoneThreshold": ("unhealthy_zone_threshold", float),
        "largeClusterSizeThreshold": ("large_cluster_size_threshold", _as_is),
        "terminatedPodGCThreshold": ("terminated_pod_gc_threshold", _as_is),
        "legacyServiceAccountTokenCleanUpPeriod": ("legacy_service_account_token_clean_up_period", _duration),
        "clusterSigningDuration": ("cluster_signing_duration", _duration),
        "maxEndpointsPerSlice": ("max_endpoints_per_slice", _as_is),
        "horizontalPodAutoscalerSyncPeriod": ("horizontal_pod_autoscaler_sync_period", _duration),
        "horizontalPodAutoscalerDownscaleStabilization": (
            "horizontal_pod_autoscaler_downscale_stabilization",
            _duration,
        ),
        "horizontalPodAutoscalerTolerance": ("horizontal_pod_autoscaler_tolerance", float),
        "horizontalPodAutoscalerCPUInitializationPeriod": (
            "horizontal_pod_autoscaler_cpu_initialization_period",
            _duration,
        ),
        "horizontalPodAutoscalerInitialReadinessDelay": (
            "horizontal_pod_autoscaler_initial_readiness_delay",
            _duration,
        ),
    },
    "scheduler": {
        "percentageOfNodesToScore": ("percentage_of_nodes_to_score", _as_is),
    },
    "kubelet": {
        "maxPods": ("max_pods", _as_is),
        "nodeLabels": ("node_labels", _as_is),
        "registerWithTaints": ("register_with_taints", _tuple),
        "systemReserved": ("system_reserved", _as_is),
        "nodeLeaseDurationSeconds": ("lease_duration", _as_is),
        "nodeStatusReportFrequency": ("status_report_frequency", _duration),
        "nodeStatusUpdateFrequency": ("status_update_frequency", _duration),
        "crashLoopBackOffMaxContainerRestartPeriod": ("crash_loop_maximum", _duration),
        "serializeImagePulls": ("serialize_image_pulls", _as_is),
        "seccompDefault": ("seccomp_default", _as_is),
        "allowedUnsafeSysctls": ("allowed_unsafe_sysctls", _tuple),
        "resolvConf": ("resolver_config", _as_is),
        "syncFrequency": ("sync_frequency", _duration),
        "podPidsLimit": ("pod_pids_limit", _as_is),
        "evictionHard": ("eviction_hard", _as_is),
        "evictionSoft": ("eviction_soft", _as_is),
        "evictionSoftGracePeriod": ("eviction_soft_grace_period", _durations),
        "evictionMinimumReclaim": ("eviction_minimum_reclaim", _as_is),
        "evictionPressureTransitionPeriod": ("eviction_pressure_transition_period", _duration),
        "evictionMaxPodGracePeriod": ("eviction_max_pod_grace_period", float),
        "imageGCHighThresholdPercent": ("image_gc_high_threshold", _as_is),
        "imageGCLowThresholdPercent": ("image_gc_low_threshold", _as_is),
        "imageMinimumGCAge": ("image_minimum_gc_age", _duration),
        "imageMaximumGCAge": ("image_maximum_gc_age", _duration),
        "shutdownGracePeriod": ("shutdown_grace_period", _duration),
        "shutdownGracePeriodCriticalPods": ("shutdown_grace_period_critical_pods", _duration),
        "shutdownGracePeriodByPodPriority": ("shutdown_grace_period_by_pod_priority", _tuple),
        "staticPodPath": ("static_pod_path", _as_is),
        "fileCheckFrequency": ("file_check_frequency", _duration),
    },
    "proxy": {
        "mode": ("mode", _as_is),
        "syncPeriod": ("resync", _duration),
        "masqueradeAll": ("masquerade_all", _as_is),
    },
}


def given(config: configuration.Configuration, section: str) -> dict[str, Any]:
    """The section's options as fields of the component's record."""
    return read(config.section(section), OPTIONS[section])


def read(section: Mapping[str, Any], table: Mapping[str, tuple[str, Reader]]) -> dict[str, Any]:
    return {table[name][0]: table[name][1](value) for name, value in section.items()}


def kubelet(config: configuration.Configuration, **fixed: Any) -> kubelet_config.KubeletConfig:
    """The section's options; where they also say what is ``fixed``, they win."""
    return kubelet_config.KubeletConfig(**{**fixed, **given(config, "kubelet")})


def api_server(config: configuration.Configuration, where: layout.Layout) -> api_server_config.Config:
    files = pki.Files(where.pki)
    certificate, key = files.pair("apiserver")
    kubelet_certificate, kubelet_key = files.pair("apiserver-kubelet-client")
    proxy_certificate, proxy_key = files.pair("front-proxy-client")
    issuer = f"https://kubernetes.default.svc.{config.domain}"
    return api_server_config.Config(
        data_dir=where.directory,
        tls_certificate=str(certificate),
        tls_key=str(key),
        client_ca=str(files.ca),
        front_proxy_ca=str(files.front_proxy_ca),
        service_account_key=str(files.service_account_key),
        kubelet_client_certificate=str(kubelet_certificate),
        kubelet_client_key=str(kubelet_key),
        kubelet_ca=str(files.ca),
        proxy_client_certificate=str(proxy_certificate),
        proxy_client_key=str(proxy_key),
        certificate_authority=str(files.ca),
        service_range=config.ranges.text("services"),
        cluster_domain=config.domain,
        advertise_address=config.advertise or config.ranges.gateway,
        advertise_port=config.port,
        token_issuer=issuer,
        token_audiences=(issuer,),
        **given(config, "apiServer"),
    )


def controller_manager(
    config: configuration.Configuration, where: layout.Layout, client: kubeconfig.ClientConfig
) -> manager_config.Config:
    """The supervisor never runs two, so the identity is stable: after a restart the lease is still ours."""
    files = pki.Files(where.pki)
    return manager_config.Config(
        client=client,
        options=manager_config.Options(
            cluster_cidr=config.ranges.text("pods"),
            service_cidr=config.ranges.text("services"),
            root_ca=files.ca.read_bytes(),
            service_account_private_key=files.service_account_key.read_bytes(),
            cluster_signing_cert=files.ca.read_bytes(),
            cluster_signing_key=files.ca_key.read_bytes(),
            load_balancer_range=config.ranges.text("load_balancers"),
            set_host_routes=routes.Routes(
                str(network)
                for family in config.ranges.families
                for network in (family.services, family.load_balancers)
            ).set,
            follow_other_machines=machines.routes_of_first(config),
            **given(config, "controllerManager"),
        ),
        identity=config.name,
    )


def scheduler(config: configuration.Configuration, client: kubeconfig.ClientConfig) -> scheduler_config.Config:
    return scheduler_config.Config(client=client, identity=config.name, **given(config, "scheduler"))
