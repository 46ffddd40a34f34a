"""``make bench``: every figure of README's performance section.

python -m tests.benchmarks [machinery|api_server|watchers|cluster|pods|cycles …]
"""

import importlib
import sys

ALL = ("machinery", "api_server", "watchers", "cluster", "pods", "cycles")

for name in sys.argv[1:] or ALL:
    print(f"== {name}", flush=True)
    importlib.import_module(f"tests.benchmarks.{name}").main()
