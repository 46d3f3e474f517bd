#!/usr/bin/env bash
# Looks into Debian packages: packaging/check.sh PACKAGE...
#
# lintian finds no error; everything that belongs into a package is there; the unit, as it lies in the package, is one
# that systemd has nothing to say about, and its sandbox leaves an exposure of 1.5 at most. Needs no systemd that runs.
set -euo pipefail

EXPOSURE_MAX=15 # in tenths
EXPECTED=(
    etc/sensegate/sensegate.toml
    usr/bin/sensegate
    usr/lib/modules-load.d/sensegate.conf
    usr/lib/systemd/system/sensegate.service
    usr/lib/sysusers.d/sensegate.conf
    usr/lib/tmpfiles.d/sensegate.conf
    usr/lib/udev/rules.d/60-sensegate.rules
    usr/share/bash-completion/completions/sensegate
    usr/share/doc/sensegate/changelog.Debian.gz
    usr/share/doc/sensegate/copyright
    usr/share/doc/sensegate/leds.schema.json
    usr/share/fish/vendor_completions.d/sensegate.fish
    usr/share/man/man1/sensegate.1.gz
    usr/share/zsh/vendor-completions/_sensegate
)

(($# > 0)) || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 64; }

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
failures=0

# Runs a check, prints its line; what it printed as well when it fails.
check() {
    local name=$1 log=$place/log
    shift
    if "$@" >"$log" 2>&1; then
        printf 'ok    %s\n' "$name"
    else
        printf 'FAIL  %s\n' "$name"
        sed 's/^/      /' "$log"
        failures=$((failures + 1))
    fi
}

holds_everything() {
    local file missing=0
    for file in "${EXPECTED[@]}"; do
        [[ -e $root/$file ]] || { echo "$file is missing"; missing=1; }
    done
    return "$missing"
}

has_a_page_for_every_command() {
    local command missing=0
    for command in calibrate check completions doctor dump passwd pub read record run setup sub; do
        [[ -e $root/usr/share/man/man1/sensegate-$command.1.gz ]] || { echo "sensegate-$command(1) is missing"; missing=1; }
    done
    return "$missing"
}

keeps_the_configuration_as_a_conffile() {
    [[ $(dpkg-deb --info "$package" conffiles) == /etc/sensegate/sensegate.toml ]]
}

# What systemd says goes to its output: an unknown key is a warning with success.
has_a_unit_without_remarks() {
    local said
    said=$(systemd-analyze --root="$root" --man=no verify sensegate.service 2>&1) && [[ -z $said ]] && return
    printf '%s\n' "$said"
    return 1
}

has_a_tight_sandbox() {
    systemd-analyze security --offline=true --threshold="$EXPOSURE_MAX" \
        "$root/usr/lib/systemd/system/sensegate.service"
}

exposure() {
    systemd-analyze security --offline=true "$root/usr/lib/systemd/system/sensegate.service" |
        sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p'
}

# Scripts that dash would stumble over break every upgrade.
has_sound_scripts() {
    local script
    for script in postinst postrm prerm; do
        dpkg-deb --info "$package" "$script" >"$place/$script"
        dash -n "$place/$script"
    done
}

# A root that systemd can look at: the units that ours names, and what they need, come from this machine.
lay_out() {
    root=$place/$(basename "$package" .deb)
    mkdir "$root"
    dpkg-deb --extract "$package" "$root"
    mkdir -p "$root/bin"
    cp /bin/sh "$root/bin/"
    cp -rn /usr/lib/systemd/system "$root/usr/lib/systemd/"
}

for package in "$@"; do
    name=$(basename "$package")
    lay_out
    check "$name: lintian has no error" lintian --allow-root --fail-on error "$package"
    check "$name: everything is there" holds_everything
    check "$name: a manual page for every command" has_a_page_for_every_command
    check "$name: the configuration is kept over upgrades" keeps_the_configuration_as_a_conffile
    check "$name: the scripts of installation are sound" has_sound_scripts
    check "$name: systemd-analyze verify has nothing to say" has_a_unit_without_remarks
    check "$name: exposure $(exposure), at most 1.5" has_a_tight_sandbox
done
((failures == 0)) || { echo "$failures checks failed"; exit 1; }
