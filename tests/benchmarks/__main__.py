"""``make bench``: every figure of README's performance section.

python -m tests.benchmarks [api_server|network|dns|cluster …]
"""

import importlib
import sys

ALL = ("api_server", "network", "dns", "cluster")

for name in sys.argv[1:] or ALL:
    print(f"== {name}", flush=True)
    importlib.import_module(f"tests.benchmarks.{name}").main()
