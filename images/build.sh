#!/usr/bin/env bash
# Build the images: `images/build.sh [controller] [generate] [train] [merge] [tryout]` (default: all five).
#
# With docker (BuildKit) or buildah, whichever works here. An image is built again only when something that it is made of
# has changed: its label dev.tunesmith.inputs is a digest of what it was made of.
#
#   TAG               the tag of the images (default: dev)
#   REPOSITORY        what comes before the name (default: localhost): localhost/tunesmith-train:dev
#   BASE_IMAGE        default: docker.io/library/python:3.11-slim-bookworm, pinned as ...@sha256:...
#                     "debootstrap": localhost/python:3.11-bookworm, made by images/base.sh, for machines without a registry
#   BUILDER           docker or buildah (default: docker if its daemon answers, else buildah)
#   BUILD_CA          a CA bundle for the build, for machines behind a proxy with a CA of its own; it does not enter
#                     the image (default: SSL_CERT_FILE, if set)
#   UV_CACHE_DIR      with buildah: uv's cache, used and filled (default: the user's, if there is one)
#   VERSION REVISION SOURCE   for the labels (default: the package's version, git's commit, unknown)
#   FORCE=1           build even if nothing changed
set -euo pipefail

cd "$(dirname "$0")/.."
TAG=${TAG:-dev}
REPOSITORY=${REPOSITORY:-localhost}
BASE_IMAGE=${BASE_IMAGE:-docker.io/library/python:3.11-slim-bookworm}
ALL=(controller generate merge train tryout) # in the order of the Dockerfile

die() { echo "images/build.sh: $1" >&2; exit "${2:-1}"; }

builder() {
  if [ -n "${BUILDER:-}" ]; then echo "$BUILDER"
  elif docker info >/dev/null 2>&1; then echo docker
  elif command -v buildah >/dev/null; then echo buildah
  else die "there is neither a docker daemon nor buildah here; install one of them" 69
  fi
}

# Files and folders that an image is made of
inputs() {
  echo images/Dockerfile images/install.sh .dockerignore requirements/uv.txt tunesmith
  case $1 in
    controller) echo requirements/controller.txt controller/tunesmith_controller ;;
    tryout)
      echo images/tryout/requirements.txt requirements/{tryout,train}.txt tryout/tunesmith_tryout
      echo jobs/tunesmith_jobs/{__init__.py,rows.py,documents,generate,teacher}
      echo jobs/tunesmith_jobs/base/{gguf.py,gguf_header.py} # they convert the demo model
      ;;
    *) echo "requirements/$1.txt" jobs/tunesmith_jobs ;;
  esac
}

digest_of() { # of an image's inputs: files, base, version
  local files
  read -ra files <<<"$(inputs "$1" | tr '\n' ' ')"
  {
    find "${files[@]}" -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    echo "$BASE_IMAGE $base_id $VERSION"
  } | sha256sum | cut -c 1-16
}

built_from() { # the digest in the label of a local image, or nothing
  local label='Config.Labels "dev.tunesmith.inputs"'
  case $tool in
    docker) docker image inspect --format "{{index .$label}}" "$1" 2>/dev/null || true ;;
    buildah) buildah inspect --type image --format "{{index .OCIv1.$label}}" "$1" 2>/dev/null || true ;;
  esac
}

base_id_of() { # distinguishes a base that was rebuilt from an older one; a registry's base is known by its name
  if [ "$tool" = buildah ]; then buildah inspect --type image --format '{{.FromImageID}}' "$1" 2>/dev/null || true; fi
}

build() {
  local name=$1 image=$REPOSITORY/tunesmith-$1:$TAG inputs began=$SECONDS
  inputs=$(digest_of "$name")
  if [ "${FORCE:-}" != 1 ] && [ "$(built_from "$image")" = "$inputs" ]; then
    echo "$image is up to date"
    return
  fi
  echo "building $image"
  local one=(
    "${arguments[@]}"
    --build-arg "LABELS=$inputs $VERSION $REVISION $SOURCE"
    --label "dev.tunesmith.inputs=$inputs"
    --target "$name" --tag "$image" .
  )
  case $tool in
    docker) DOCKER_BUILDKIT=1 docker build "${one[@]}" ;;
    # buildah 1.28 cannot bind a stage that it took from its cache: FRESH rebuilds the stage with uv (4 s). It also goes
    # through all stages before the target, from its cache where it can.
    buildah) buildah bud --quiet --build-arg "FRESH=$(date +%s%N)" "${one[@]}" >/dev/null ;;
  esac
  echo "built $image in $((SECONDS - began)) s"
}

wanted=" ${*:-${ALL[*]}} "
for name in $wanted; do
  case " ${ALL[*]} " in *" $name "*) ;; *) die "no image is called $name; there are: ${ALL[*]}" 64 ;; esac
done
tool=$(builder)
if [ "$BASE_IMAGE" = debootstrap ]; then
  tool=buildah # docker keeps its images elsewhere
  BASE_IMAGE=localhost/python:3.11-bookworm
  NAME=$BASE_IMAGE images/base.sh
fi
VERSION=${VERSION:-$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' tunesmith/__init__.py)}
REVISION=${REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
SOURCE=${SOURCE:-unknown}
BUILD_CA=${BUILD_CA-${SSL_CERT_FILE:-}}
base_id=$(base_id_of "$BASE_IMAGE")

arguments=(
  --file images/Dockerfile
  --build-arg "BASE_IMAGE=$BASE_IMAGE"
  --label "org.opencontainers.image.version=$VERSION"
  --label "org.opencontainers.image.revision=$REVISION"
  --label "org.opencontainers.image.source=$SOURCE"
)
if [ -n "$BUILD_CA" ]; then arguments+=(--secret "id=ca,src=$BUILD_CA"); fi
if [ "$tool" = buildah ]; then
  case $BASE_IMAGE in localhost/*) arguments+=(--pull=never) ;; esac
  arguments+=(--isolation chroot --layers --force-rm)
  UV_CACHE_DIR=${UV_CACHE_DIR:-${HOME:-/root}/.cache/uv}
  if [ -d "$UV_CACHE_DIR" ]; then arguments+=(--volume "$UV_CACHE_DIR:/var/cache/uv"); fi
fi

for name in "${ALL[@]}"; do
  case $wanted in *" $name "*) build "$name" ;; esac
done
