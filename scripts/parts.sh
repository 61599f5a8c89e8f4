#!/usr/bin/env bash
# Install what tests need beside Python packages: a browser for the report's pictures. Needs root and apt; elsewhere it says what to
# install, and the tests that need it are skipped (with CI=true they fail).
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }

if have chromium || have chromium-browser || have google-chrome; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && have apt-get; then
  echo "installing chromium (for the tests that look at the report)"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null
else
  echo "no Chromium found: the tests that look at the report in a browser are skipped; install the package chromium to run them"
fi
