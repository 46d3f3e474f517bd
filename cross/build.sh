#!/usr/bin/env bash
# Builds sensegate for a Raspberry Pi: cross/build.sh TARGET [cargo build's options, such as --release]
#
#   aarch64-unknown-linux-gnu      Pi 3, 4, 5 and Zero 2 W with a 64-bit system
#   armv7-unknown-linux-gnueabihf  Pi 2 and later with a 32-bit system
#   arm-unknown-linux-musleabihf   every Pi with a 32-bit system, Pi 1 and Zero too; static
#   aarch64-unknown-linux-musl     any 64-bit system, however old; static
#
# Without --package or --bin it builds the program sensegate. Prints the path of what it built, and only that, on
# standard output. Takes the first way that is there: rustup's target with a compiler for the C parts, the tool chain
# of cross/setup-debian.sh, `cross`; else it tells what is missing for each.
set -euo pipefail
cd "$(dirname "$0")/.."

toolchain="${SENSEGATE_TOOLCHAIN:-${XDG_CACHE_HOME:-$HOME/.cache}/sensegate/toolchain}"
# zig's results lie apart: cargo does not link again when only the linker has changed
zig_target_directory="${CARGO_TARGET_DIR:-target}/zig"

# The C compiler of a glibc target; static ones are linked by zig. Debian's one for 32 bits makes ARMv7 code, whatever
# it is told, because its start files are that: it is never taken for a Pi 1 or a Zero.
case "${1:-}" in
    aarch64-unknown-linux-gnu) compiler=aarch64-linux-gnu-gcc package=gcc-aarch64-linux-gnu ;;
    armv7-unknown-linux-gnueabihf) compiler=arm-linux-gnueabihf-gcc package=gcc-arm-linux-gnueabihf ;;
    arm-unknown-linux-musleabihf | aarch64-unknown-linux-musl) compiler='' package='' ;;
    *)
        sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
        exit 64
        ;;
esac
target=$1
shift

variable=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$target")
options=(--locked --target "$target" --message-format json-render-diagnostics "$@")
# the default members hold a test rig as well, which nobody runs on a Pi
case " $* " in
    *' -p'* | *' --package'* | *' --bin'* | *' --workspace '*) ;;
    *) options+=(--package sensegate --bin sensegate) ;;
esac

has_target() { [[ -d $(rustc --print sysroot 2>/dev/null)/lib/rustlib/$target/lib ]]; }
has_compiler() { [[ -n $compiler ]] && command -v "$compiler" >/dev/null; }
has_zigbuild() { command -v cargo-zigbuild >/dev/null; }
has_toolchain() { [[ -e $toolchain/complete ]]; }
toolchain_has_target() { [[ -d $toolchain/sysroot/lib/rustlib/$target/lib ]]; }

# Prints the path of each program that cargo tells of.
print_executables() { sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'; }

build_with_compiler() {
    env "${variable}_LINKER=$compiler" "$@" cargo build "${options[@]}" "${standard_library[@]}"
}

build_with_zig() {
    # cargo-zigbuild would keep a linker that is set already, and pass on what other targets' flags are
    env -u "${variable}_LINKER" CARGO_TARGET_DIR="$zig_target_directory" "$@" \
        cargo zigbuild "${options[@]}" "${standard_library[@]}"
}

# With the tool chain of cross/setup-debian.sh, whose Rust is a stable one: what it has no library for is built along
# with it, which takes the permission for unstable options.
build_with_toolchain() {
    local environment=("RUSTC=$toolchain/bin/rustc")
    if ! toolchain_has_target; then
        standard_library=(-Z 'build-std=std,panic_abort')
        environment+=(RUSTC_BOOTSTRAP=1)
    fi
    if has_compiler; then
        build_with_compiler "${environment[@]}"
        return
    fi
    # rustc's own start files of musl are not there; zig brings its own
    build_with_zig "${environment[@]}" "PATH=$toolchain/zig/bin:$PATH" \
        "CARGO_ZIGBUILD_ZIG_PATH=$toolchain/zig/ziglang/zig" "${variable}_RUSTFLAGS=-Clink-self-contained=no"
}

# `cross` mounts the target directory elsewhere, and tells of it by that name.
build_with_cross() {
    cross build "${options[@]}" | sed "s#\"executable\":\"/target/#\"executable\":\"$PWD/target/#"
}

tell_ways() {
    echo "cannot build for $target yet. One of these is needed:"
    echo "  rustup's target, with a compiler for the C parts:"
    has_target || echo "      rustup target add $target"
    if [[ -z $compiler ]]; then
        has_zigbuild || echo "      pip install ziglang cargo-zigbuild"
    else
        has_compiler || echo "      apt-get install $package"
    fi
    echo "  on Debian 12, where rustup cannot download targets: cross/setup-debian.sh"
    echo "  Docker or Podman: cargo install cross"
}

standard_library=()
if has_target && has_compiler; then
    build_with_compiler | print_executables
elif has_target && [[ -z $compiler ]] && has_zigbuild; then
    build_with_zig | print_executables
elif has_toolchain && { [[ -z $compiler ]] || has_compiler; }; then
    build_with_toolchain | print_executables
elif command -v cross >/dev/null; then
    build_with_cross | print_executables
else
    tell_ways >&2
    exit 1
fi
