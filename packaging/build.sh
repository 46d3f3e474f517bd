#!/usr/bin/env bash
# Makes Debian packages: packaging/build.sh [--profile NAME] [--version VERSION] [ARCHITECTURE...]
#
#   amd64   this machine's own
#   arm64   Pi 3, 4, 5 and Zero 2 W with a 64-bit system
#   armhf   every Pi with a 32-bit system, Pi 1 and Zero too: the program in it is static and for ARMv6
#
# Without an architecture all three. Prints the path of each package on standard output, everything else on standard
# error. Programs that are built already are taken with SENSEGATE_BINARY_AMD64=PATH and so on.
# Needs `cargo deb` (cargo install cargo-deb), for other architectures what cross/build.sh needs.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=release
version=''
architectures=()

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

while (($# > 0)); do
    case $1 in
        --profile | --version)
            (($# > 1)) || usage
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        amd64 | arm64 | armhf) architectures+=("$1") && shift ;;
        *) usage ;;
    esac
done
((${#architectures[@]} > 0)) || architectures=(amd64 arm64 armhf)

target_of() {
    case $1 in
        amd64) echo x86_64-unknown-linux-gnu ;;
        arm64) echo aarch64-unknown-linux-gnu ;;
        armhf) echo arm-unknown-linux-musleabihf ;;
    esac
}

# The program for an architecture: one that was handed over, or a new build.
binary_of() {
    local handed_over="SENSEGATE_BINARY_${1^^}"
    if [[ -n ${!handed_over-} ]]; then
        realpath "${!handed_over}"
    elif [[ $1 == "$(dpkg --print-architecture)" ]]; then
        cargo build --locked --profile "$profile" >&2
        echo "$PWD/target/$profile/sensegate"
    else
        cross/build.sh "$(target_of "$1")" --profile "$profile"
    fi
}

find_cargo_deb() {
    command -v cargo-deb >/dev/null && return
    echo "cargo-deb is missing: cargo install cargo-deb" >&2
    exit 1
}

# cargo-deb looks for the program where cargo would have put it.
package() {
    local architecture=$1 binary target place
    local options=(--no-build --no-strip --quiet --output target/debian/)
    binary=$(binary_of "$architecture")
    target=$(target_of "$architecture")
    place=$PWD/target/package
    install -D -m 755 "$binary" "$place/$target/release/sensegate"
    [[ $architecture == armhf ]] && options+=(--variant static)
    [[ -n $version ]] && options+=(--deb-version "$version")
    CARGO_TARGET_DIR=$place cargo-deb "${options[@]}" --target "$target"
}

find_cargo_deb
# pages and completions are the same everywhere
cargo run --locked --quiet --example pages -- target/pages >&2
for architecture in "${architectures[@]}"; do
    package "$architecture"
done
