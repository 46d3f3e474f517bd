#!/usr/bin/env bash
# Builds sensegate for every kind of Pi and runs each build under emulation: cross/ci.sh [--release] [--build | --test]
#
# As root on Debian 12; installs what is missing. Builds with the profile `check-cross`, which does not optimise: it
# finds what can go wrong with a target in a fraction of the time. --release builds what is released; --build only
# builds, --test only runs what was built.
# Prints the table of the builds at the end and leaves it in target/cross/table.tsv: target, bytes, glibc floor, build
# seconds. The programs are left beside it, each in a directory with the name of its target.
set -euo pipefail
cd "$(dirname "$0")/.."

output=target/cross
table=$output/table.tsv
profile=check-cross
parts=(build_everything test_everything)
for option; do
    case $option in
        --release) profile=release ;;
        --build) parts=(build_everything) ;;
        --test) parts=(test_everything) ;;
        *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
done
targets=(
    aarch64-unknown-linux-gnu
    arm-unknown-linux-musleabihf
    aarch64-unknown-linux-musl
    armv7-unknown-linux-gnueabihf
)

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

# Builds one target and keeps its program and its build time for the tests.
build() {
    local target=$1 began=$SECONDS binary
    printf -- '-- %s, profile %s\n' "$target" "$profile"
    binary=$(cross/build.sh "$target" --profile "$profile")
    install -D "$binary" "$output/$target/sensegate"
    printf '%s\n' $((SECONDS - began)) >"$output/$target/seconds"
    printf -- '-- %s: %d s\n' "$target" $((SECONDS - began))
}

# Builds targets one after the other in a target directory of their own, which cargo locks during a build.
build_all() {
    local target
    export CARGO_TARGET_DIR=$1
    shift
    for target; do build "$target"; done
}

# Builds two targets at a time: each build ends with one crate, which leaves a core idle.
build_everything() {
    local builds=() build failed=0
    cross/setup-debian.sh
    build_all target/cross/1 "${targets[@]:0:2}" &
    builds+=("$!")
    build_all target/cross/2 "${targets[@]:2}" &
    builds+=("$!")
    for build in "${builds[@]}"; do wait "$build" || failed=1; done
    return "$failed"
}

test_everything() {
    local target tests=()
    for target in "${targets[@]}"; do
        tests+=(--built "$(<"$output/$target/seconds")" "$output/$target/sensegate")
    done
    rm -f "$table"
    cross/selftest.sh --table "$table" "${tests[@]}"
}

install_programs
for part in "${parts[@]}"; do "$part"; done
