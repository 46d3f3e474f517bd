#!/usr/bin/env bash
# Makes the packages of programs that are built already, and looks into them: packaging/ci.sh AMD64 ARM64 ARMHF, the
# path of each architecture's program. As root: the last part deploys one over sshd into a system that is thrown away.
# packaging/ci.sh --install only installs what the packages are made with.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${SENSEGATE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/sensegate/tools}
export PATH=$PATH:$tools/bin

# Unoptimised: it runs for a few seconds, and would be built for minutes.
install_cargo_deb() {
    command -v cargo-deb >/dev/null && return
    cargo install --quiet --locked --debug --root "$tools" 'cargo-deb@^3'
}

# Debian's lintian wants what it is shown to be stripped, which a build for tests is not.
strip_own_program() {
    mkdir -p target/package
    strip --output-file target/package/amd64 "$SENSEGATE_BINARY_AMD64"
    SENSEGATE_BINARY_AMD64=$PWD/target/package/amd64
}

# The program in the package of every 32-bit Pi runs on the first one's processor, with the packaged configuration.
runs_on_armv6() {
    local package=$1 place
    place=$(mktemp -d)
    dpkg-deb --extract "$package" "$place"
    qemu-arm-static -cpu arm1176 "$place/usr/bin/sensegate" check "$place/etc/sensegate/sensegate.toml"
    rm -rf "$place"
}

install_cargo_deb
[[ ${1-} != --install ]] || exit 0
(($# == 3)) || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 64; }
export SENSEGATE_BINARY_AMD64=$1 SENSEGATE_BINARY_ARM64=$2 SENSEGATE_BINARY_ARMHF=$3
strip_own_program
mapfile -t packages < <(packaging/build.sh)
mapfile -t older < <(packaging/build.sh --version 0.0.9-1 amd64)
((${#packages[@]} == 3 && ${#older[@]} == 1)) || { echo 'packages are missing' >&2; exit 1; }
packaging/check.sh "${packages[@]}"
runs_on_armv6 "${packages[2]}"
tests/deploy/run "${packages[0]}" "${older[0]}"
