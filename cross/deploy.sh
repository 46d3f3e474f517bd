#!/usr/bin/env bash
# Brings sensegate onto a Pi: cross/deploy.sh [OPTIONS] [USER@]HOST
#
#   --package FILE   install this package; without it one is built for the Pi's architecture
#   --profile NAME   build with another profile of Cargo.toml than `release`
#   --setup          then run `sensegate setup` there, which makes a user for this machine and prints the line to paste
#   -p PORT, -i KEY, -o OPTION, -F FILE   as for ssh
#
# Needs ssh here, Debian or Raspberry Pi OS there, and a user who is root or may use sudo. Prints how to subscribe.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

fail() {
    printf 'deploy: %s\n' "$1" >&2
    exit 1
}

say() {
    printf '== %s\n' "$1" >&2
}

package='' profile=release with_setup=no destination='' ssh_options=()
while (($# > 0)); do
    case $1 in
        --setup) with_setup=yes && shift ;;
        --package | --profile | -p | -i | -o | -F)
            (($# > 1)) || usage
            case $1 in
                --package) package=$2 ;;
                --profile) profile=$2 ;;
                -p) ssh_options+=(-o "Port=$2") ;;
                *) ssh_options+=("$1" "$2") ;;
            esac
            shift 2
            ;;
        -*) usage ;;
        *)
            [[ -z $destination ]] || usage
            destination=$1
            shift
            ;;
    esac
done
[[ -n $destination ]] || usage
[[ -z $package || -f $package ]] || fail "there is no package $package"

# one connection for everything, so that a password is asked for once
sockets=$(mktemp -d)
ssh_options+=(-o ControlMaster=auto -o "ControlPath=$sockets/%C" -o ControlPersist=60)

leave() {
    ssh "${ssh_options[@]}" -O exit "$destination" 2>/dev/null || true
    rm -rf "$sockets"
}
trap leave EXIT

# Runs a command there. The quoting is the caller's: what ssh gets is a line for a shell.
there() {
    # shellcheck disable=SC2029 # meant to be put together here
    ssh "${ssh_options[@]}" "$destination" "$1"
}

# Runs a command there that may ask for something, as root.
there_as_root() {
    local terminal=()
    [[ -t 0 ]] && terminal=(-t)
    # shellcheck disable=SC2029 # meant to be put together here
    ssh "${terminal[@]}" "${ssh_options[@]}" "$destination" "if [ \$(id -u) = 0 ]; then $1; else sudo $1; fi"
}

find_architecture() {
    architecture=$(there 'dpkg --print-architecture') ||
        fail "cannot ask $destination for its architecture: it has to be reached by ssh and to run Debian or Raspberry Pi OS"
    case $architecture in
        amd64 | arm64 | armhf) ;;
        *) fail "there is no package for the architecture $architecture of $destination" ;;
    esac
}

take_package() {
    if [[ -z $package ]]; then
        say "building the package for $architecture"
        package=$("$here/packaging/build.sh" --profile "$profile" "$architecture")
        package=$here/$package
    fi
    local made_for
    made_for=$(dpkg-deb --field "$package" Architecture 2>/dev/null) || return 0
    [[ $made_for == "$architecture" ]] || fail "$package is for $made_for, and $destination is $architecture"
}

# The package lies in a directory that nobody else there can write to.
install_package() {
    local place
    say "installing $(basename "$package") on $destination"
    place=$(there 'mktemp -d')
    scp -q "${ssh_options[@]}" "$package" "$destination:$place/sensegate.deb"
    # dpkg asks nobody about a configuration that was changed: it stays
    there_as_root "env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --install $place/sensegate.deb" >&2 ||
        there_as_root 'apt-get install --fix-broken --yes --quiet' >&2 ||
        fail "the package could not be installed on $destination"
    there "rm -rf $place"
}

# Tells whether the service runs: systemd may be absent there, or the configuration may have problems.
look_at_service() {
    if ! there 'test -d /run/systemd/system'; then
        say "no systemd runs on $destination: start it with \`sensegate\`"
    elif there 'systemctl is-active --quiet sensegate'; then
        say "the service runs"
    else
        there 'systemctl status --no-pager --lines=20 sensegate' >&2 || true
        fail "the service does not run on $destination: ssh $destination sensegate doctor"
    fi
}

tell_how_to_subscribe() {
    printf 'to see what it publishes:  ssh %s %s\n' "$destination" "sensegate sub -t \"'myRasp/#'\" -v"
    if [[ $with_setup == no ]]; then
        printf 'to subscribe from here:    ssh -t %s sudo sensegate setup\n' "$destination"
    fi
}

run_setup() {
    local yes=''
    # without a terminal nobody can answer
    [[ -t 0 ]] || yes=' --yes'
    there_as_root "sensegate setup$yes"
}

find_architecture
take_package
install_package
look_at_service
tell_how_to_subscribe
[[ $with_setup == no ]] || run_setup
