#!/usr/bin/env bash
# Build or find the programs of a Kubernetes cluster: `tests/cluster/build.sh control-plane | node`.
#
#   control-plane   etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, kwok, helm: tests against a real API server (needs Go)
#   node            those, and kubelet, kube-proxy, containerd, ctr, CoreDNS, pause, and Debian's runc and CNI plugins (needs Go, gcc, root)
#
#   KUBEBUILDER_ASSETS   a folder of ready programs (envtest's convention): what is in it is not built
#   TUNESMITH_CACHE      where the built ones are kept (default ~/.cache/tunesmith; programs in cluster/bin below it)
#
# Versions are in binaries/*/go.mod, one module for each source: Kubernetes 1.36.3, etcd 3.7.3, containerd 2.4.2, CoreDNS 1.15.0, helm 4.2.4,
# kwok 0.8.0. A program is built again when its go.mod, go.sum or flags have changed.
set -euo pipefail
export GOFLAGS="${GOFLAGS:-} -buildvcs=false" # the version is the module's; a checkout that git distrusts would stop the build

cd "$(dirname "$0")"
bin=${TUNESMITH_CACHE:-$HOME/.cache/tunesmith}/cluster/bin
debian=(runc containernetworking-plugins iptables conntrack iproute2 buildah debootstrap openssl)

die() { echo "tests/cluster/build.sh: $1" >&2; exit 69; }

# build MODULE "FLAGS" PROGRAM=PACKAGE...: those programs that are not there yet
build() {
  local module=$1 flags=$2 stamp pair name
  stamp=$(cat "binaries/$module/go.mod" "binaries/$module/go.sum" <(echo "$flags") | sha256sum)
  for pair in "${@:3}"; do
    name=${pair%%=*}
    [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$name" ] && continue
    [ -x "$bin/$name" ] && [ "$(cat "$bin/.$name.stamp" 2>/dev/null)" = "$stamp" ] && continue
    command -v go >/dev/null || die "$name has to be built, but Go is missing: install Go 1.26 or newer, or set KUBEBUILDER_ASSETS"
    echo "building $name"
    (cd "binaries/$module" && eval "go build $flags -o '$bin/.$name.new' ${pair#*=}") || die "$name: go build failed"
    mv "$bin/.$name.new" "$bin/$name"
    echo "$stamp" > "$bin/.$name.stamp"
  done
}

kubernetes() {
  local version minor set="-X k8s.io/component-base/version." pairs=() name
  version=$(awk '$1 == "k8s.io/kubernetes" {print $2}' binaries/kube/go.mod)
  minor=${version#v1.}; minor=${minor%%.*}
  for name in "$@"; do pairs+=("$name=k8s.io/kubernetes/cmd/$name"); done
  build kube "-ldflags '-s -w ${set}gitVersion=$version ${set}gitMajor=1 ${set}gitMinor=$minor'" "${pairs[@]}"
}

control_plane() {
  build etcd "-ldflags '-s -w'" etcd=go.etcd.io/etcd/server/v3
  kubernetes kube-apiserver kube-controller-manager kube-scheduler kubectl
  build kwok "-ldflags '-s -w'" kwok=sigs.k8s.io/kwok/cmd/kwok
  build helm "-ldflags '-s -w'" helm=helm.sh/helm/v4/cmd/helm
}

node() {
  local command=github.com/containerd/containerd/v2/cmd
  kubernetes kubelet kube-proxy
  build containerd "-tags 'no_btrfs no_zfs no_devmapper' -ldflags '-s -w'" \
    containerd=$command/containerd containerd-shim-runc-v2=$command/containerd-shim-runc-v2 ctr=$command/ctr
  build coredns "-ldflags '-s -w'" coredns=github.com/coredns/coredns
  pause "$(sha256sum < pause/pause.c)"
}

pause() {
  [ -x "$bin/pause" ] && [ "$(cat "$bin/.pause.stamp" 2>/dev/null)" = "$1" ] && return 0
  command -v gcc >/dev/null || die "no gcc to build pause/pause.c with: install gcc and the static C library (Debian: apt install gcc libc6-dev)"
  gcc -static -Os -s -o "$bin/pause" pause/pause.c
  rm -f "$bin/pause.tar" # its image
  echo "$1" > "$bin/.pause.stamp"
}

packages() {
  local missing
  command -v dpkg-query >/dev/null || die "not Debian: install the equivalents of ${debian[*]} (CNI plugins in /usr/lib/cni)"
  missing=$(comm -13 <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${debian[@]}" 2>/dev/null | sed -n 's/^ii  *//p' | sort) \
    <(printf '%s\n' "${debian[@]}" | sort) | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  [ "$(id -u)" = 0 ] || die "to install as root: apt install --no-install-recommends $missing"
  echo "installing $missing"
  apt-get update -qq
  # shellcheck disable=SC2086 # a list
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

mkdir -p "$bin"
exec 9<"$bin"; flock 9 # two at a time would build the same
case ${1:-} in
  control-plane) control_plane ;;
  node) packages; control_plane; node ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' build.sh >&2; exit 64 ;;
esac
