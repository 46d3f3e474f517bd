# shellcheck shell=bash
# What the virtual machines of tests/vm have in common: programs, downloads, kernels, binaries, results.
#
#   source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# What is downloaded or unpacked lies in $vm_cache and is used again; remove it to get newer packages. What belongs to
# this source tree lies in $vm_work, under its target directory.
# Nothing but install_packages changes the machine: packages of other architectures are unpacked, never installed.

shopt -s inherit_errexit

vm_tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vm_source=$(cd "$vm_tests/../.." && pwd)
vm_cache=${SENSEGATE_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sensegate/vm}
vm_work=${CARGO_TARGET_DIR:-$vm_source/target}/vm
# Which release of Debian, and where its packages come from: as the apt of this machine has it.
vm_release=bookworm
# shellcheck disable=SC2016 # apt's own variables
vm_mirror=${SENSEGATE_VM_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' |
    sed -n "/ $vm_release\$/{s/ .*//p;q}")}
# One line a check, for the summary: verdict, seconds, name. Python writes there too (tests/vm/host/report.py).
vm_results=${SENSEGATE_VM_RESULTS:-/dev/null}

# Prints to the terminal, out of the way of what a function returns.
say() { printf '%s\n' "$*" >&2; }

die() {
    say "$0: $*"
    fail_check
    exit 1
}

# Waits until nobody else changes this part of the cache: lock_cache NAME. The lock goes with this shell.
lock_cache() {
    mkdir -p "$vm_cache"
    exec {vm_lock}>"$vm_cache/$1.lock"
    flock "$vm_lock"
}

# Installs Debian packages, those only whose program is missing, one caller at a time:
# install_packages PROGRAM=PACKAGE …
install_packages() (
    local pair missing=()
    lock_cache install
    for pair; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    ((${#missing[@]} == 0)) && return
    say "installing ${missing[*]}"
    apt-get update -qq
    apt_install "${missing[@]}" || apt_install --allow-downgrades "${missing[@]}" "$(qemu_utils_of_release)"
)

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# The MQTT client that the checks use, for the Python of the system.
install_paho() (
    lock_cache install
    /usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null || apt_install python3-paho-mqtt
)

# A qemu-utils from backports keeps the release's QEMU out; this names the one that fits.
qemu_utils_of_release() {
    local version
    version=$(apt-cache madison qemu-utils | awk -v release="$vm_release/" '$0 ~ release { print $3; exit }')
    printf 'qemu-utils=%s\n' "$version"
}

# Runs apt for another architecture, with lists and archives of its own: apt_of ARCH COMMAND …
apt_of() {
    local arch=$1 root="$vm_cache/apt/$1" program=$2
    shift 2
    "$program" -qq -o "Dir=$root" -o "Dir::State::status=$root/status" -o "APT::Architecture=$arch" \
        -o "APT::Architectures::=$arch" -o "APT::Sandbox::User=root" -o "Acquire::Languages=none" "$@"
}

# Makes the lists of an architecture, unless they are there.
apt_lists() {
    local arch=$1 root="$vm_cache/apt/$1"
    [[ -e $root/complete ]] && return
    say "reading Debian's list of packages for $arch"
    mkdir -p "$root"/etc/apt/{apt.conf.d,preferences.d} "$root"/var/{lib/apt/lists,cache/apt/archives}/partial
    : >"$root/status"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
        "$vm_mirror" "$vm_release" >"$root/etc/apt/sources.list"
    apt_of "$arch" apt-get update
    touch "$root/complete"
}

# Unpacks packages of an architecture into a directory: unpack_packages ARCH DIRECTORY PACKAGE …
unpack_packages() {
    local arch=$1 directory=$2 debs="$vm_cache/debs/$1" deb
    shift 2
    apt_lists "$arch"
    mkdir -p "$debs" "$directory"
    say "downloading for $arch: $*"
    (cd "$debs" && apt_of "$arch" apt-get download "$@")
    for deb in "${@/%/_}"; do
        dpkg-deb -x "$(newest "$debs/$deb")" "$directory"
    done
}

# The newest file whose name begins so.
newest() {
    local files=("$1"*)
    printf '%s\n' "${files[@]}" | sort -V | tail -n 1
}

# The package of the kernel that the architecture's kernel package stands for today.
kernel_package() {
    local arch=$1 name=$1
    [[ $arch == armhf ]] && name=armmp-lpae
    apt_lists "$arch"
    apt_of "$arch" apt-cache depends "linux-image-$name" | awk '/Depends:/ { print $2; exit }'
}

# Lists modules in the order of loading, each behind those it needs; what is built in is left out.
# module_order DIRECTORY-OF-MODULES MODULE …
module_order() {
    local modules=$1 module file
    shift
    for module; do
        file=$(module_file "$modules" "$module")
        [[ -n $file ]] || continue
        # A line of modules.dep: the module, a colon, what it needs, in the order of unloading.
        awk -v wanted="$file:" '$1 == wanted { for (i = NF; i > 1; i--) print $i; sub(":", "", $1); print $1 }' \
            "$modules/modules.dep"
    done | awk '!seen[$0]++'
}

# The file of a module, empty for one that is built in. The kernel takes - and _ for the same.
module_file() {
    local modules=$1 pattern="/${2//[-_]/[-_]}\\.ko"
    if grep -qE "$pattern" "$modules/modules.builtin"; then
        return
    fi
    grep -oE "^[^:]*$pattern:" "$modules/modules.dep" | tr -d ':' || die "the kernel has no module $2"
}

# Packs a directory as an initramfs. Not compressed: an emulated processor takes longer to unpack than to read.
pack_initramfs() {
    (cd "$1" && find . -print0 | cpio --quiet --null --create --format=newc --owner=0:0) >"$2"
}

# The directory with `sensegate` and `virtual_hat` for an architecture. A gateway that is there already is named by
# SENSEGATE_BIN_AMD64, _ARM64 or _ARMHF, a virtual HAT by SENSEGATE_HAT_…; what is not named is built.
binaries() {
    local arch=$1 directory="$vm_work/bin-$1" gateway="SENSEGATE_BIN_${1^^}" hat="SENSEGATE_HAT_${1^^}"
    local from_gateway=${!gateway:-} from_hat=${!hat:-}
    mkdir -p "$directory"
    [[ -n $from_gateway ]] || from_gateway=$(build "$arch" sensegate sensegate)
    [[ -n $from_hat ]] || from_hat=$(build "$arch" sensegate-virtual-hat virtual_hat)
    install_stripped "$arch" "$from_gateway" "$directory/sensegate"
    install_stripped "$arch" "$from_hat" "$directory/virtual_hat"
    printf '%s\n' "$directory"
}

# Builds a program and prints its path: build ARCH PACKAGE PROGRAM. In the profile and the place in which cross/ci.sh
# builds for the architecture, so that nothing is built twice.
build() {
    local arch=$1 options=(--package "$2" --bin "$3")
    case $arch in
        amd64)
            cargo build --manifest-path "$vm_source/Cargo.toml" --locked "${options[@]}" >&2
            printf '%s/debug/%s\n' "${CARGO_TARGET_DIR:-$vm_source/target}" "$3"
            ;;
        arm64) cross_build aarch64-unknown-linux-gnu --profile release "${options[@]}" ;;
        armhf)
            CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$vm_source/target}/others \
                cross_build armv7-unknown-linux-gnueabihf --profile check-cross "${options[@]}"
            ;;
        *) die "no programs for the architecture $arch" ;;
    esac
}

# With rustup's target where it is there, else with a tool chain that is set up once.
cross_build() {
    local target=$1
    shift
    [[ -d $(rustc --print sysroot)/lib/rustlib/$target/lib ]] || "$vm_source/cross/setup-debian.sh" >&2
    "$vm_source/cross/build.sh" "$target" "$@"
}

# Debug information makes a program ten times as large, and every boot would load it.
install_stripped() {
    local arch=$1 from=$2 to=$3 prefix=''
    case $arch in
        arm64) prefix=aarch64-linux-gnu- ;;
        armhf) prefix=arm-linux-gnueabihf- ;;
    esac
    if command -v "${prefix}strip" >/dev/null; then
        "${prefix}strip" -o "$to" "$from"
    else
        cp "$from" "$to"
    fi
}

# Runs a command as a check: one line with its verdict, time and name. A failure ends the shell, as errexit has it, so
# no condition may stand around it. check NAME COMMAND …
check() {
    vm_checked=$1 vm_began=$EPOCHREALTIME
    shift
    "$@"
    record ok "$(seconds_since "$vm_began")" "$vm_checked"
    vm_checked=''
}

# Tells of the check that runs, if one does, that it failed. Only once: a subshell's failure comes to its parent too.
fail_check() {
    ((BASH_SUBSHELL == 0)) && [[ -n $vm_checked ]] || return 0
    record FAILED "$(seconds_since "$vm_began")" "$vm_checked"
    vm_checked=''
}

vm_checked=''
set -o errtrace
trap fail_check ERR

record() {
    printf '%-6s %6.1f s  %s\n' "$1" "$2" "$3"
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$vm_results"
}

seconds_since() {
    awk -v began="$1" -v now="$EPOCHREALTIME" 'BEGIN { printf "%.1f", now - began }'
}

# Prints how many checks there were, and fails when one of them failed, or when there was none.
summary() {
    awk -F '\t' -v seconds="$1" '
        $1 == "ok" { ok++ }
        $1 != "ok" { failed = failed "\n       " $3; failures++ }
        END {
            printf "\n%d checks in %.0f s: %d ok, %d failed%s\n", NR, seconds, ok, failures, failed
            exit NR == 0 || failures > 0
        }' "$vm_results"
}
