#!/usr/bin/env bash
#
# Fuzzes everything that reads foreign bytes: each target of fuzz/ for this number of seconds.
#
#   tests/fuzz.sh SECONDS [TARGET [FILE]]
#   tests/fuzz.sh build
#
# The stable toolchain, by RUSTC_BOOTSTRAP: byokd has no unsafe code, so that no sanitizer is needed. A run starts with a
# copy of the corpus in fuzz/corpus. An input that breaks a target is kept in fuzz/artifacts; `tests/fuzz.sh 1 TARGET FILE`
# runs it again. After the fix it goes into the corpus, which `cargo test fuzz_corpus` replays.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! [[ ${1:-} =~ ^([0-9]+|build)$ ]]; then
    printf 'Usage: tests/fuzz.sh SECONDS [TARGET [FILE]] | build\n' >&2
    exit 1
fi
seconds=$1 only=${2:-} file=${3:-}

if [[ -z ${BYOKD_TEST_CARGO_FUZZ:-} ]]; then
    exports=$(tests/tools.sh compiler cxx cargo)
    eval "$exports"
fi
PATH=$(dirname "$BYOKD_TEST_CARGO_FUZZ"):$PATH
export RUSTC_BOOTSTRAP=1
# Little optimized: a release build takes longer than a short run saves.
options=(--dev --sanitizer none --target-dir "$PWD/target/fuzz")

cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml || {
    printf 'fuzz/Cargo.lock is behind Cargo.lock: run cargo update --workspace in fuzz/\n' >&2
    exit 1
}
started=$SECONDS
cargo fuzz build "${options[@]}"
printf 'built in %d s\n' $((SECONDS - started))
if [[ $seconds == build ]]; then exit; fi

corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
failed=0
for target in ${only:-$(cargo fuzz list)}; do
    printf '\n--- %s\n' "$target"
    if [[ -n $file ]]; then
        inputs=("$file")
    else
        cp -r "fuzz/corpus/$target" "$corpus/$target"
        inputs=("$corpus/$target")
    fi
    # Limits for the length of an input, its time, and the memory.
    cargo fuzz run "${options[@]}" "$target" "${inputs[@]}" -- -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 || failed=$((failed + 1))
done
((failed == 0)) || printf '\n%d targets failed\n' "$failed" >&2
((failed == 0))
