#!/usr/bin/env bash
#
# What the image holds, step by step. The Dockerfile runs these steps, and so does tests/image without a container engine.
#
#   build.sh dependencies     compiles everything byokd stands on; needs Cargo.toml and Cargo.lock only
#   build.sh binary           compiles byokd
#   build.sh sbom FILE        writes what it is made of, as CycloneDX
#   build.sh rootfs FOLDER    lays out the image's own files in FOLDER; needs the binary
#
# Run where Cargo.toml is. CARGO_TARGET_DIR and PROFILE (`dist` is what ships) are the same for all steps. BINARY is a
# byokd that is there already, for a rootfs without the first two.

set -euo pipefail

profile=${PROFILE:-dist}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

# Where cargo puts what it builds: the profile's folder, but for one name.
built() {
    local folder=$profile
    [[ $profile == dev ]] && folder=debug
    printf '%s/%s/byokd' "$CARGO_TARGET_DIR" "$folder"
}

# Sources that say nothing: as long as no dependency changes, this step's layer is taken from the cache, whatever changes
# in byokd. Its folder must not be that of the real sources, which are older than what is built here: cargo tracks
# packages by their folders, and changed files by their age.
dependencies() {
    mkdir -p src
    printf 'fn main() {}\n' | tee src/main.rs build.rs >/dev/null
    : >src/lib.rs
    cargo build --locked --profile "$profile" --lib --bins
}

binary() { cargo build --locked --profile "$profile" --bin byokd; }

# cargo-cyclonedx writes beside Cargo.toml, and takes a name without its ending.
sbom() {
    # Of what is linked here: another target has other dependencies.
    cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$(rustc -vV | sed -n 's/^host: //p')" \
        --override-filename byokd.cdx
    mv byokd.cdx.json "$1"
}

rootfs() {
    local root=$1
    install -D --mode=0755 "${BINARY:-$(built)}" "$root/usr/local/bin/byokd"
    install -D --mode=0644 LICENSE "$root/usr/share/doc/byokd/LICENSE"
    sbom "$root/usr/share/doc/byokd/byokd.cdx.json"
    # The one folder that byokd writes to.
    install -d --mode=0700 "$root/var/lib/byokd"
}

case "${1:-} $#" in
    "dependencies 1" | "binary 1" | "sbom 2" | "rootfs 2") "$@" ;;
    *)
        printf 'Usage: build.sh dependencies | binary | sbom FILE | rootfs FOLDER\n' >&2
        exit 1
        ;;
esac
