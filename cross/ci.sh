#!/usr/bin/env bash
# Builds sensegate for every kind of Pi and runs each build under emulation: cross/ci.sh [--release]
#
# As root on Debian 12; sets up what is missing. The target that most run is built as it is released, the others with
# the lighter profile, unless --release is given: what can go wrong there is the target, not the optimiser. The table of
# the builds is printed at the end and left in target/cross/table.tsv: target, bytes, glibc floor, build seconds. The
# programs themselves are left beside it, each in a directory with the name of its target.
set -euo pipefail
cd "$(dirname "$0")/.."

place=target/cross
table=$place/table.tsv
lighter=check-cross
[[ ${1-} != --release ]] || lighter=release
released=(aarch64-unknown-linux-gnu=release)
others=("arm-unknown-linux-musleabihf=$lighter" "aarch64-unknown-linux-musl=$lighter" "armv7-unknown-linux-gnueabihf=$lighter")
failed=0
tests=()

# Installs what cross/selftest.sh needs.
install_programs() {
    local missing=() program package
    while read -r program package; do
        command -v "$program" >/dev/null || missing+=("$package")
    done <<'PROGRAMS'
mosquitto_sub mosquitto-clients
openssl openssl
readelf binutils
qemu-aarch64-static qemu-user-static
PROGRAMS
    ((${#missing[@]} == 0)) && return
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Builds one target and keeps its program and its time for the tests.
build() {
    local target=$1 profile=$2 began=$SECONDS binary
    printf -- '-- %s, profile %s\n' "$target" "$profile"
    binary=$(cross/build.sh "$target" --profile "$profile")
    install -D "$binary" "$place/$target/sensegate"
    printf '%s\n' $((SECONDS - began)) >"$place/$target/seconds"
    printf -- '-- %s: %d s\n' "$target" $((SECONDS - began))
}

# Builds targets one after the other, each given as TARGET=PROFILE, in a target directory of their own, which cargo
# locks for as long.
lane() {
    local build
    export CARGO_TARGET_DIR=$1
    shift
    for build; do build "${build%=*}" "${build#*=}"; done
}

install_programs
cross/setup-debian.sh
# two at a time: the last crate of a release keeps one core busy for minutes, and leaves the other alone; the others
# share what is built for this machine
lane target "${released[@]}" &
lanes=("$!")
lane target/others "${others[@]}" &
lanes+=("$!")
for lane in "${lanes[@]}"; do wait "$lane" || failed=1; done
((failed == 0)) || exit 1
for build in "${released[@]}" "${others[@]}"; do
    target=${build%=*}
    tests+=(--built "$(<"$place/$target/seconds")" "$place/$target/sensegate")
done
rm -f "$table"
cross/selftest.sh --table "$table" "${tests[@]}"
