#!/usr/bin/env bash
# Runs built programs as their users would: cross/selftest.sh [--table FILE] [[--built SECONDS] BINARY]...
#
# Foreign ones run under qemu's user emulation, one for ARMv6 on the processor of a Pi 1 and Zero. Each must be what its
# target promises, take samples, serve clients over TCP and TLS, keep what it acknowledged over a kill, and stop when
# told. Prints a line a check with its time, and a table row a binary at the end. The first failure ends the run with
# the gateway's log and exit code 1.
#
#   --table FILE     appends the rows to FILE too: target, bytes, glibc floor, build seconds, with tabs between
#   --built SECONDS  how long the next binary took to build, for the table
#
# Needs mosquitto-clients, openssl, binutils, and qemu-user-static for foreign binaries.
set -euo pipefail
cd "$(dirname "$0")/.."

# The newest glibc a binary may ask for: that of Debian 12, the oldest system that gets one linked to glibc.
glibc_max=2.36
# How long anything may take, with the emulation's slowness and a busy machine in mind.
limit_s=60

fail() { printf '%s\n' "$*" >&2; return 1; }

# Waits until a command succeeds.
await() {
    local deadline=$((SECONDS + limit_s))
    until "$@"; do
        ((SECONDS < deadline)) || fail "waited for $limit_s s in vain: $*"
        # how often is looked, not how long it takes
        sleep 0.05
    done
}

# Runs a check, which ends the run if it fails, and prints its time.
check() {
    local began=${EPOCHREALTIME/./} took
    current=$1
    shift
    "$@" >"$work/check.log" 2>&1
    took=$((${EPOCHREALTIME/./} - began))
    printf '%-30s ok %6d ms  %s\n' "$name" $((took / 1000)) "$current"
    current=''
}

# Cleans up; when a check has failed, tells what it and the gateway said.
finish() {
    local status=$?
    trap - EXIT
    # a check that fails has its output redirected still
    exec >&3 2>&3
    if ((status != 0)) && [[ -n $current ]]; then
        printf '%-30s FAILED  %s\n' "$name" "$current"
        tail -n 40 "$work/check.log"
        printf -- '-- log of the gateway\n'
        tail -n 60 "$work/gateway.log" 2>/dev/null || true
    fi
    [[ -z $gateway ]] || kill -KILL "$gateway" 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}

# Takes the target from the path that cargo gave the binary; one that lies elsewhere is the host's own.
target_of() {
    grep -oE '(aarch64|armv7|arm)-unknown-linux-(gnu|musl)(eabihf)?' <<<"$1" | tail -n 1 || uname -m
}

# Chooses what runs the binary, by its target.
choose_runner() {
    runner=()
    case "$1" in
        "$(uname -m)"*) ;;
        aarch64-*) runner=(qemu-aarch64-static -L /usr/aarch64-linux-gnu) ;;
        armv7-*) runner=(qemu-arm-static -cpu cortex-a7 -L /usr/arm-linux-gnueabihf) ;;
        arm-*) runner=(qemu-arm-static -cpu arm1176) ;;
        *) fail "nothing here runs $1" ;;
    esac
}

run() { "${runner[@]}" "$binary" "$@"; }

# The binary itself

is_static() { ! readelf -lW "$binary" | grep -q INTERP && ! readelf -dW "$binary" | grep -q NEEDED; }

glibc_floor() { readelf -VW "$binary" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1 | cut -d _ -f 2 || true; }

header_says() { readelf -hW "$binary" | grep -qE "Machine: +$1" || fail "another processor than $1"; }

# Nothing newer than the ARM1176 of the Pi 1 knows: ARMv6, without its successor's Thumb-2.
is_armv6() {
    readelf -AW "$binary"
    readelf -AW "$binary" | grep -qE 'Tag_CPU_arch: v(4T?|5TE?J?|6|6K|6KZ)$' || fail 'built for more than ARMv6'
    ! readelf -AW "$binary" | grep -q 'Tag_THUMB_ISA_use: Thumb-2' || fail 'Thumb-2 is more than ARMv6 has'
}

has_architecture() {
    case "$target" in
        aarch64*) header_says AArch64 ;;
        armv7-*) header_says ARM && readelf -AW "$binary" | grep -q 'Tag_ABI_VFP_args: VFP registers' ;;
        arm-*) header_says ARM && is_armv6 ;;
        x86_64*) header_says 'Advanced Micro Devices X86-64' ;;
    esac
}

has_libraries() {
    local floor
    if [[ $target == *musl* ]]; then
        is_static || fail 'not static'
        return
    fi
    floor=$(glibc_floor)
    [[ ${#runner[@]} -eq 0 || "$(printf '%s\n' "$floor" "$glibc_max" | sort -V | tail -n 1)" == "$glibc_max" ]] ||
        fail "needs glibc $floor"
}

# No part of it is both written and run, and its stack is not run either.
has_no_writable_code() {
    readelf -lW "$binary"
    readelf -lW "$binary" | grep -q GNU_STACK || fail 'says nothing of its stack, which then may be run'
    ! readelf -lW "$binary" | grep -E '^ +(LOAD|GNU_STACK)' | grep -q 'RWE' || fail 'a segment is written and run'
}

# One-shot commands

tells_version() { run --version | grep -qx "sensegate $version"; }

takes_shipped_configuration() { run check config/sensegate.toml; }

refuses_bad_configuration() {
    local status=0
    printf 'prefix = 7\n' >"$work/bad.toml"
    run check "$work/bad.toml" || status=$?
    [[ $status -eq 78 ]] || fail "exit code $status"
}

# Holds a number between two bounds.
is_between() { awk -v low="$1" -v value="$2" -v high="$3" 'BEGIN { exit !(value ~ /^-?[0-9.]+$/ && low <= value && value <= high) }'; }

value_of() { tr -d ' \n' <"$work/sample.json" | grep -oE "\"$1\":\{\"value\":-?[0-9.]+" | grep -oE '[-0-9.]+$'; }

samples_once() {
    run --config "$work/sensegate.toml" --simulate --once >"$work/sample.json"
    is_between 0 "$(value_of temperature)" 50
    is_between 900 "$(value_of pressure)" 1100
    is_between 0 "$(value_of humidity)" 100
}

# A gateway that serves

make_certificates() {
    local tls=$work/tls
    mkdir -p "$tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=selftest authority' \
        -keyout "$tls/ca.key" -out "$tls/ca.pem"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' \
        -keyout "$tls/server.key" -out "$tls/server.csr"
    openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 2 \
        -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1') -out "$tls/server.pem"
}

write_configuration() {
    cat >"$work/sensegate.toml" <<CONFIGURATION
[sensors]
interval = "200ms"
[storage]
directory = "$work/state"
[[broker.listener]]
address = "127.0.0.1:0"
[[broker.listener]]
address = "127.0.0.1:0"
tls = { certificate = "$work/tls/server.pem", key = "$work/tls/server.key" }
CONFIGURATION
}

is_ready() {
    kill -0 "$gateway" 2>/dev/null || fail 'the gateway has ended' || exit 1
    grep -qs 'first reading published' "$work/gateway.log"
}

# Starts a gateway on free ports, and takes them from its log.
start_gateway() {
    # what an earlier one said must not be taken for this one's
    rm -f "$work/gateway.log"
    # not by `run`: the process to be killed would be a shell in between
    "${runner[@]}" "$binary" --config "$work/sensegate.toml" --simulate >"$work/gateway.log" 2>&1 &
    gateway=$!
    await is_ready
    mapfile -t ports < <(grep -m 1 'listening on' "$work/gateway.log" | grep -oE '127\.0\.0\.1:[0-9]+' | cut -d : -f 2)
    [[ ${#ports[@]} -eq 2 ]] || fail "listens on ${#ports[@]} ports"
}

# Holds the pressure that a client received; it is the value that only a right conversion gets right.
is_pressure() { is_between 900 "$(cat "$work/received")" 1100; }

serves_tcp() {
    mosquitto_sub -h 127.0.0.1 -p "${ports[0]}" -t myRasp/sensors/pression -C 1 -W "$limit_s" >"$work/received"
    is_pressure
}

serves_tls() {
    mosquitto_sub -h 127.0.0.1 -p "${ports[1]}" --cafile "$work/tls/ca.pem" -t myRasp/sensors/pression -C 1 \
        -W "$limit_s" >"$work/received"
    is_pressure
}

subscribes_with_tls() {
    run sub -h localhost -p "${ports[1]}" --cafile "$work/tls/ca.pem" -t myRasp/sensors/pression -C 1 -W "$limit_s" \
        >"$work/received"
    is_pressure
}

keeps_over_kill() {
    local client=(mosquitto_sub -h 127.0.0.1 -c -i keeper -q 1 -t work/# -W "$limit_s")
    "${client[@]}" -p "${ports[0]}" -E
    mosquitto_pub -h 127.0.0.1 -p "${ports[0]}" -q 1 -t work/order -m "kept by $target"
    kill -KILL "$gateway"
    wait "$gateway" || true
    start_gateway
    "${client[@]}" -p "${ports[0]}" -C 1 >"$work/received"
    grep -qx "kept by $target" "$work/received"
}

stops_when_told() {
    local status=0
    kill -TERM "$gateway"
    wait "$gateway" || status=$?
    gateway=''
    [[ $status -eq 0 ]] || fail "exit code $status"
    grep -q stopping "$work/gateway.log"
}

# A row of the table: target, size, glibc floor, seconds to build.
add_row() {
    local floor
    floor=$(glibc_floor)
    rows+=("$target"$'\t'"$(stat -c %s "$binary")"$'\t'"${floor:-static}"$'\t'"${built:--}")
}

test_binary() {
    binary=$(realpath "$1")
    target=$(target_of "$binary")
    name=$target
    rm -rf "$work/state"
    choose_runner "$target"
    check 'architecture' has_architecture
    check 'libraries' has_libraries
    check 'no writable code' has_no_writable_code
    check 'tells its version' tells_version
    check 'takes the shipped file' takes_shipped_configuration
    check 'refuses a bad file' refuses_bad_configuration
    check 'takes a sample' samples_once
    check 'starts' start_gateway
    check 'serves a client over TCP' serves_tcp
    check 'serves a client over TLS' serves_tls
    check 'subscribes over TLS itself' subscribes_with_tls
    check 'keeps a message over kill -9' keeps_over_kill
    check 'stops when told' stops_when_told
    add_row
}

print_table() {
    local row of bytes floor seconds
    printf '%-30s | %7s | %11s | %s\n' target size 'glibc floor' 'build time'
    for row in "${rows[@]}"; do
        IFS=$'\t' read -r of bytes floor seconds <<<"$row"
        printf '%-30s | %4d.%d MB | %11s | %s s\n' "$of" $((bytes / 1000000)) $((bytes / 100000 % 10)) "$floor" "$seconds"
    done
    [[ -z $table ]] || printf '%s\n' "${rows[@]}" >>"$table"
}

gateway='' current='' name='' table='' built='' rows=() ports=()
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
exec 3>&1
work=$(mktemp -d)
trap finish EXIT
name=host
check 'certificates' make_certificates
write_configuration
while (($# > 0)); do
    case "$1" in
        --table) table=$2; shift ;;
        --built) built=$2; shift ;;
        *) test_binary "$1"; built='' ;;
    esac
    shift
done
((${#rows[@]} > 0)) || fail 'usage: cross/selftest.sh [--table FILE] [[--built SECONDS] BINARY]...'
print_table
