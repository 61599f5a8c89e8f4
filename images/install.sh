#!/bin/sh
# Runs in a RUN of each image: `install.sh REQUIREMENTS` makes /opt/venv from a locked file and checks every wheel by its hash. uv
# is bound to /run/uv for that step only, so no layer holds it; nothing is built from source (--no-build), so no compiler is needed.
set -eu

venv=/opt/venv
uv=/run/uv/bin/uv

if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi # a proxy's CA, on machines behind one
export UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy
$uv venv --quiet --python "$(command -v python3)" "$venv"
$uv pip sync --quiet --python "$venv" --require-hashes --no-build "$1"

rm "$venv/.lock" # uv's, and writable by everybody

# The asyncio client of `kubernetes`: a second copy of all its models, a third of the package. Neither the rest of the package nor
# the controller imports it.
rm -rf "$venv"/lib/python3.*/site-packages/kubernetes/aio
# Compile bytecode now, as the root file system is read-only at run time: without it the imports of the train image take 14 s
# instead of 7 at every start of a pod. It is 0.3 of its 6 GB. By hash and unchecked: the files never change again, whatever
# modification times an unpacker gives them. Errors are ignored, as some packages ship templates that are not Python.
"$venv/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$venv/lib" || true

# The base image's pip, and what could restore it.
rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* /usr/local/bin/wheel \
  /usr/lib/python3.*/ensurepip /usr/share/python-wheels

# Libraries look up the name and the home of the user they run as.
echo 'tunesmith:x:10001:10001::/tmp:/usr/sbin/nologin' >>/etc/passwd
echo 'tunesmith:x:10001:' >>/etc/group
