#!/usr/bin/env bash
# Builds sensegate for every kind of Pi and runs each build under emulation: cross/ci.sh
#
# As root on Debian 12; sets up what is missing. The target that most run is built as it is released, the others with
# the lighter profile: what can go wrong there is the target, not the optimiser. The table of the builds is printed at
# the end and left in target/cross/table.tsv: target, bytes, glibc floor, build seconds. The programs themselves are
# left beside it, each in a directory with the name of its target.
set -euo pipefail
cd "$(dirname "$0")/.."

place=target/cross
table=$place/table.tsv
released=aarch64-unknown-linux-gnu
lighter=(armv7-unknown-linux-gnueabihf arm-unknown-linux-musleabihf aarch64-unknown-linux-musl)
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

# Builds one target and keeps its program, with its time, for the tests.
build() {
    local target=$1 profile=$2 began=$SECONDS binary
    printf -- '-- %s, profile %s\n' "$target" "$profile"
    binary=$(cross/build.sh "$target" --profile "$profile")
    install -D "$binary" "$place/$target/sensegate"
    tests+=(--built $((SECONDS - began)) "$place/$target/sensegate")
    printf -- '-- %s: %d s\n' "$target" $((SECONDS - began))
}

install_programs
cross/setup-debian.sh
build "$released" release
for target in "${lighter[@]}"; do
    build "$target" check-cross
done
rm -f "$table"
cross/selftest.sh --table "$table" "${tests[@]}"
