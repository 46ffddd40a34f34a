"""``make bench``: every figure of README's performance section.

python -m tests.benchmarks [machinery|api_server|watchers|cluster …]
"""

import importlib
import sys

ALL = ("machinery", "api_server", "watchers", "cluster")

for name in sys.argv[1:] or ALL:
    print(f"== {name}", flush=True)
    importlib.import_module(f"tests.benchmarks.{name}").main()
