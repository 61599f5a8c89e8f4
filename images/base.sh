#!/usr/bin/env bash
# A base image without a registry: Debian bookworm's own Python 3.11, by debootstrap. Needs root, debootstrap and buildah.
#
#     images/base.sh              makes localhost/python:3.11-bookworm unless it exists (about a minute)
#
# It stands in for docker.io/library/python:3.11-slim-bookworm on machines that cannot reach a public registry: python3 with its
# `venv` module.
#   NAME     the image's name              DEBIAN_MIRROR   a Debian mirror (default: this machine's own, else deb.debian.org)
#   FORCE=1  make it again, for Debian's security updates
set -euo pipefail

NAME=${NAME:-localhost/python:3.11-bookworm}
PACKAGES=python3,python3-venv,ca-certificates

die() { echo "images/base.sh: $1" >&2; exit "${2:-1}"; }

# The first mirror of this machine that carries bookworm, in either of apt's formats.
mirror() {
  local configured
  configured=$(sed -ns 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb *\(\[[^]]*\] *\)\?\([^ ]*\) bookworm .*/\2/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
  echo "${configured:-http://deb.debian.org/debian}"
}

for tool in buildah debootstrap; do
  command -v "$tool" >/dev/null || die "$tool is not installed; on Debian: apt-get install buildah debootstrap" 69
done
[ "$(id -u)" = 0 ] || die "debootstrap needs root; build from a registry's image instead: BASE_IMAGE=... images/build.sh" 77
if [ "${FORCE:-}" != 1 ] && buildah inspect --type image "$NAME" >/dev/null 2>&1; then
  exit 0
fi

work=$(mktemp -d)
container=
trap 'if [ -n "$container" ]; then buildah rm "$container" >/dev/null; fi; rm -rf "$work"' EXIT
root=$work/root
source=${DEBIAN_MIRROR:-$(mirror)}
echo "making $NAME from $source"
debootstrap --variant=minbase "--include=$PACKAGES" bookworm "$root" "$source" >"$work/log" 2>&1 ||
  { tail -n 20 "$work/log" >&2; die "debootstrap failed"; }

# Nothing reads these at run time. License texts (/usr/share/doc/*/copyright) stay.
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/{locale,man,info}/*
find "$root/usr/share/doc" -mindepth 2 ! -name copyright -delete 2>/dev/null || true
ln -sf python3 "$root/usr/bin/python"

container=$(buildah from scratch)
buildah add --quiet "$container" "$root" / >/dev/null
buildah config --cmd python3 --env LANG=C.UTF-8 --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet "$container" "$NAME" >/dev/null
echo "made $NAME"
