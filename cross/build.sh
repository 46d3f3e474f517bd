#!/usr/bin/env bash
# Builds sensegate for a Raspberry Pi: cross/build.sh TARGET [cargo's options, such as --release]
#
#   aarch64-unknown-linux-gnu      Pi 3, 4, 5 and Zero 2 W with a 64-bit system
#   armv7-unknown-linux-gnueabihf  Pi 2 and later with a 32-bit system
#
# Takes rustup's target with Debian's cross compiler where both are there, else `cross`, else tells what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  aarch64-unknown-linux-gnu) compiler=aarch64-linux-gnu-gcc package=gcc-aarch64-linux-gnu ;;
  armv7-unknown-linux-gnueabihf) compiler=arm-linux-gnueabihf-gcc package=gcc-arm-linux-gnueabihf ;;
  *)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
target=$1
shift

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; }
has_compiler() { command -v "$compiler" >/dev/null; }

if has_target && has_compiler; then
  variable=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$target")_LINKER
  exec env "$variable=$compiler" cargo build --locked --target "$target" "$@"
fi
if command -v cross >/dev/null; then
  exec cross build --locked --target "$target" "$@"
fi
{
  echo "cannot build for $target yet:"
  has_target || echo "  the target's library is missing: rustup target add $target"
  has_compiler || echo "  $compiler is missing: apt-get install $package"
  echo "  or, with Docker or Podman instead of both: cargo install cross"
} >&2
exit 1
