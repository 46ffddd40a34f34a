"""The default profile: every plugin, in the order in which they are asked. A plugin is added by a line here."""

from kubeshim.control_plane.scheduler import framework
from kubeshim.control_plane.scheduler.plugins import (
    default_binder,
    default_preemption,
    image_locality,
    inter_pod_affinity,
    node_affinity,
    node_name,
    node_ports,
    node_resources_balanced_allocation,
    node_resources_fit,
    node_unschedulable,
    pod_topology_spread,
    priority_sort,
    scheduling_gates,
    taint_toleration,
    volume_binding,
)

PLUGINS: tuple[type[framework.Plugin], ...] = (
    scheduling_gates.SchedulingGates,
    priority_sort.PrioritySort,
    node_unschedulable.NodeUnschedulable,
    node_name.NodeName,
    taint_toleration.TaintToleration,
    node_affinity.NodeAffinity,
    node_ports.NodePorts,
    node_resources_fit.NodeResourcesFit,
    volume_binding.VolumeBinding,
    pod_topology_spread.PodTopologySpread,
    inter_pod_affinity.InterPodAffinity,
    default_preemption.DefaultPreemption,
    node_resources_balanced_allocation.NodeResourcesBalancedAllocation,
    image_locality.ImageLocality,
    default_binder.DefaultBinder,
)
