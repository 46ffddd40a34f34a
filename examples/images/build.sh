#!/usr/bin/env bash
# The images the examples and tests use, made from this machine's static busybox: no registry is needed.
#   kubeshim.example/busybox:1   busybox and nothing else
#   kubeshim.example/web:1 :2    a web server that says who answers
set -euo pipefail
busybox=${BUSYBOX:-/bin/busybox}
if ! "$busybox" true 2>/dev/null; then
    echo "busybox is missing: apt-get install busybox-static" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

root() {
    rm -rf "$work/root"
    mkdir -p "$work/root"/{bin,etc,tmp,www/cgi-bin,root,proc,sys,dev,var/run}
    chmod 1777 "$work/root/tmp"
    cp "$busybox" "$work/root/bin/busybox"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln "$work/root/bin/busybox" "$work/root/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$work/root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$work/root/etc/group"
}

import() {
    name=$1
    shift
    tar -C "$work/root" --numeric-owner --owner=0 --group=0 -c . | docker import "$@" - "$name" >/dev/null
    echo "$name"
}

root
import kubeshim.example/busybox:1 -c 'CMD ["sh"]' -c 'ENV PATH=/bin'
for version in 1 2; do
    cat >"$work/root/www/cgi-bin/index.cgi" <<'CGI'
#!/bin/sh
echo "Content-Type: text/plain"
echo
echo "$(cat /www/version) $(hostname) ${GREETING:-} $(cat /etc/web/motd 2>/dev/null)"
CGI
    chmod 755 "$work/root/www/cgi-bin/index.cgi"
    echo "web version $version" >"$work/root/www/version"
    echo ok >"$work/root/www/healthz"
    import "kubeshim.example/web:$version" -c 'CMD ["httpd", "-f", "-v", "-p", "8080", "-h", "/www"]' -c 'ENV PATH=/bin'
done
