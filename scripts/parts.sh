#!/usr/bin/env bash
# Install what tests need besides Python packages: Debian's Chromium (pictures of the report), Lua (the health check of Argo CD) and
# openssl, as root; the programs of a Kubernetes control plane and helm (Go, or KUBEBUILDER_ASSETS). If one cannot be installed, this
# says why; the tests that need it are skipped (with CI=true they fail).
set -euo pipefail
cd "$(dirname "$0")/.."

have() { command -v "$1" >/dev/null 2>&1; }

packages() {
  local missing=()
  have chromium || have chromium-browser || have google-chrome || missing+=(chromium fonts-noto-cjk)
  have lua5.4 || missing+=(lua5.4)
  have openssl || missing+=(openssl)
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && have apt-get; then
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "the tests that need ${missing[*]} are skipped; install these packages to run them"
  fi
}

packages
tests/cluster/build.sh control-plane || echo "no control plane: the tests that need a Kubernetes API server or helm are skipped"
