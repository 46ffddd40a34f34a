"""Five hundred pods come and go: what they leave behind, of all that can be counted."""

import os
import time

from tests.benchmarks.cluster import build_images, row
from tests.e2e import engine, leaks
from tests.e2e.conftest import eventually

WARM = 50
CYCLES = int(os.environ.get("CYCLES", "500"))


def main():
    build_images()
    machine = engine.Machine("ks-cycles")
    try:
        machine.boot()
        machine.load(leaks.IMAGE)
        cluster = machine.cluster("cycled", kubectl_path="kubectl")
        measure(cluster)
        cluster.down()
    finally:
        machine.scrap()


def measure(cluster):
    cycles = leaks.Cycles(cluster)
    cycles.run(WARM)
    before = settled(cluster)
    weight = {component: leaks.resident(cluster, component) for component in ("agent", "api-server")}
    began = time.monotonic()
    cycles.run(CYCLES)
    took = time.monotonic() - began
    after = settled(cluster)
    row(f"{CYCLES} pods created, Running, deleted, gone", f"{took:.0f} s", f"{CYCLES / took:.1f} pods/s, by five")
    for name, count in after.items():
        if count != before[name]:
            row(f"  {name}", f"{before[name]} before, {count} after", "")
    left = {name for name in leaks.counted(cluster) if after[name] > before[name]}
    row("  left behind", ", ".join(sorted(left)) or "nothing", f"of {len(after)} things counted")
    for component, megabytes in weight.items():
        row(f"  {component}, resident", f"{megabytes:.0f} MB, then {leaks.resident(cluster, component):.0f} MB", "")
    cycles.close()


def settled(cluster):
    """Once the kernel has forgotten the pods' datagrams and the pools their idle threads."""
    eventually(lambda: leaks.counted(cluster)["connections tracked"] == 0, 180)
    time.sleep(12)
    return {**leaks.counted(cluster), **leaks.process_counts(cluster)}


if __name__ == "__main__":
    main()
