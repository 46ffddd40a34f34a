#!/usr/bin/env bash
# Makes sure that a Docker engine answers, for the tests that use it directly; starts one where there is no systemd.
set -euo pipefail
docker version >/dev/null 2>&1 && exit 0
if [ -d /run/systemd/system ]; then
    systemctl start docker
else
    setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
fi
for _ in $(seq 300); do
    docker version >/dev/null 2>&1 && exit 0
    sleep 0.1
done
echo "dockerd does not answer; see /var/log/dockerd.log" >&2
exit 1
