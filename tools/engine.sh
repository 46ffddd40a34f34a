#!/usr/bin/env bash
# Makes sure that a Docker engine answers, for the tests that use it directly. It stays when they have ended.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${VENV:-.venv}/bin/python" -c 'from kubeshim.cluster import host; host.ensure_engine(record=False)'
