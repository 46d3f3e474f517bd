#!/usr/bin/env bash
# Sets up a private tool chain for cross/build.sh, on Debian 12 (amd64): cross/setup-debian.sh
#
# For machines on which rustup cannot download targets. Rust comes out of Debian's own packages, verified by apt and
# unpacked into one directory, not installed; zig links what Debian's compilers cannot. The machine gets Debian's cross
# compilers, which takes root where they are missing, and nothing else of it is changed.
#
#   SENSEGATE_TOOLCHAIN        where it goes; ~/.cache/sensegate/toolchain
#   SENSEGATE_DEBIAN_SECURITY  the mirror it comes from; http://deb.debian.org/debian-security
#
# Runs again in no time when everything is there. An interrupted run leaves nothing that is taken as whole.
set -euo pipefail

toolchain="${SENSEGATE_TOOLCHAIN:-${XDG_CACHE_HOME:-$HOME/.cache}/sensegate/toolchain}"
mirror="${SENSEGATE_DEBIAN_SECURITY:-http://deb.debian.org/debian-security}"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# What a finished tool chain says of itself in its file `complete`; change it with what is unpacked below.
recipe="rustc-web of bookworm-security, zig 0.17.1, cargo-zigbuild 0.24.1, layout 1"

say() { printf 'setup-debian: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

check_machine() {
    [[ "$(dpkg --print-architecture 2>/dev/null)" == amd64 ]] || fail "this works on Debian for amd64 only"
    [[ -e $keyring ]] || fail "$keyring is missing: apt-get install debian-archive-keyring"
    command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.89 or later first"
}

# Installs the packages of this machine whose files are missing: compilers for the C parts, and what rustc loads.
install_packages() {
    local missing=() file package
    while read -r file package; do
        [[ -e $file ]] || command -v "$file" >/dev/null || missing+=("$package")
    done <<'PACKAGES'
gcc gcc
aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
/usr/aarch64-linux-gnu/include/stdio.h libc6-dev-arm64-cross
arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf
/usr/arm-linux-gnueabihf/include/stdio.h libc6-dev-armhf-cross
/usr/lib/x86_64-linux-gnu/libedit.so.2 libedit2
/usr/lib/x86_64-linux-gnu/libxml2.so.2 libxml2
/usr/lib/x86_64-linux-gnu/libz3.so.4 libz3-4
flock util-linux
python3 python3
pip python3-pip
PACKAGES
    ((${#missing[@]} == 0)) && return
    ((EUID == 0)) || fail "missing: apt-get install ${missing[*]}"
    say "installs ${missing[*]}"
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
}

# Writes an apt configuration with a state of its own that knows arm64 as well, so that this machine's dpkg need not.
# Not armhf: its index is signed apart, and one that does not match would take arm64's down with it.
configure_apt() {
    local apt=$1
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/state/status"
    cat >"$apt/debian.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: bookworm-security
Components: main
Signed-By: $keyring
SOURCES
    cat >"$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/debian.sources";
Dir::Etc::sourceparts "-";
APT::Architectures { "amd64"; "arm64"; };
CONF
}

# Prints the package of that name pattern that a package depends on; its version is part of its name.
dependency() {
    apt-cache depends "$1" | sed -n "s/^ *Depends: \($2\)\$/\1/p" | head -n 1
}

# Downloads the packages of the tool chain into a directory, with apt's usual checks of signatures and sums.
download_packages() (
    local apt=$1 debs=$2 std llvm
    export APT_CONFIG=$apt/apt.conf
    mkdir -p "$debs"
    apt-get update -q >&2
    std=$(dependency libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')
    llvm=$(dependency "${std:?no libstd-rust-web in this mirror}" 'libllvm[0-9]*')
    # apt's downloader is another user when root runs it
    ((EUID != 0)) || chown _apt "$debs"
    cd "$debs"
    apt-get download -q rustc-web "$std" libstd-rust-web-dev libstd-rust-web-dev:arm64 rust-web-src "${llvm:?}" >&2
)

# Unpacks what is needed of the packages: the compiler, both standard libraries, and the library's sources, from which
# cargo builds it for the other targets. The arm64 package lays its library beside the other, so this is one sysroot.
unpack_packages() {
    local debs=$1 sysroot=$2 deb
    mkdir -p "$sysroot"
    for deb in "$debs"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$sysroot" --strip-components=2 --no-wildcards-match-slash \
            --exclude='./usr/share' --exclude='./usr/src/*/compiler' --exclude='./usr/src/*/src' \
            --exclude='./usr/src/*/debian'
    done
    # rustc finds its sysroot by the directory of its library, which Debian keeps one level deeper
    (cd "$sysroot/lib" && ln -s x86_64-linux-gnu/*.so* .)
}

# Writes a rustc that finds its libraries wherever the tool chain lies.
write_rustc() {
    local bin=$1
    mkdir -p "$bin"
    cat >"$bin/rustc" <<'RUSTC'
#!/bin/sh
sysroot=$(dirname "$(dirname "$(readlink -f "$0")")")/sysroot
LD_LIBRARY_PATH=$sysroot/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$sysroot/bin/rustc" "$@"
RUSTC
    chmod 755 "$bin/rustc"
}

# Installs zig, a linker for any glibc, for musl and for ARMv6, and cargo's way to it; held to their sums.
install_zig() {
    local directory=$1
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$directory" \
        --no-deps --only-binary :all: --require-hashes -r /dev/stdin >&2 <<'REQUIREMENTS'
ziglang==0.17.1 --hash=sha256:ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54
cargo-zigbuild==0.24.1 --hash=sha256:238a1ab54a95053a4eadc34775c81f795a8ad75f80bfed63f3f445f518102375
REQUIREMENTS
}

# Proves that what was unpacked runs and knows its targets.
check_toolchain() {
    local directory=$1 target
    for target in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu; do
        compgen -G "$("$directory/bin/rustc" --print sysroot)/lib/rustlib/$target/lib/libstd-*.rlib" >/dev/null ||
            fail "the unpacked rustc has no library for $target"
    done
    "$directory/zig/ziglang/zig" version >/dev/null
    "$directory/zig/bin/cargo-zigbuild" --version >/dev/null
}

# Makes the tool chain beside its place and moves it there when it is whole.
make_toolchain() {
    # what an earlier run left when it was killed
    rm -rf "$toolchain".??????
    # not local: the trap looks at them after this function
    work=$(mktemp -d "$toolchain.XXXXXX")
    download=$(mktemp -d)
    trap 'rm -rf "$work" "$download"' EXIT
    chmod 755 "$work" "$download"
    say "downloads Debian's Rust"
    configure_apt "$download/apt"
    download_packages "$download/apt" "$download/debs"
    say "unpacks it"
    unpack_packages "$download/debs" "$work/sysroot"
    write_rustc "$work/bin"
    say "installs zig"
    install_zig "$work/zig"
    check_toolchain "$work"
    printf '%s\n' "$recipe" >"$work/complete"
    rm -rf "$toolchain"
    mv -T "$work" "$toolchain"
}

is_complete() { [[ "$(cat "$toolchain/complete" 2>/dev/null)" == "$recipe" ]]; }

check_machine
install_packages
mkdir -p "$(dirname "$toolchain")"
# two runs at a time would move each other's work away
exec 9>"$toolchain.lock"
flock 9
if ! is_complete; then
    make_toolchain
fi
say "ready: $("$toolchain/bin/rustc" --version) in $toolchain ($SECONDS s)"
