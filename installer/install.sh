#!/bin/sh
# Installs dpmp for the user who runs it. See the usage below, and docs/operating.md.
set -eu
here=$(unset CDPATH && cd "$(dirname "$0")" && pwd)
usage='usage: install.sh [--binary FILE] [--dir FOLDER] [--check]
  --binary FILE  install this program instead of building the checkout (no cargo needed)
  --dir FOLDER   install here instead of ~/dpmp
  --check        say every step and change nothing
A config that is there is never overwritten: it gets the keys that it lacks, with a dated backup. Wallets, credentials,
logs and what was counted are not touched. A DPMP v2 in the folder is found, stopped, and kept for the way back.'
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$here/lib.sh"

from=
staged=
while [ $# -gt 0 ]; do
    case $1 in
    --binary) [ $# -gt 1 ] || usage_error '--binary needs a file' && from=$2 && shift ;;
    --dir) [ $# -gt 1 ] || usage_error '--dir needs a folder' && set_dir "$2" && shift ;;
    --check) check=yes ;;
    -h | --help) say "$usage" && exit 0 ;;
    *) usage_error "unknown: $1" ;;
    esac
    shift
done
places
not_root
say "installing dpmp into $dir"
sweep

# 1. The program, tried before it takes any place.
stage_binary
program=${staged:-$bin}
changed=no
if [ -n "$staged" ] && ! cmp -s "$staged" "$bin"; then
    changed=yes
fi

# 2. What was there before.
keep_v2() {
    mkdir -p "$config_dir/v2-kept.new.$$"
    for file in config_v2.json best_shares.json weights_override.json; do
        if [ -f "$config_dir/$file" ]; then
            cp -p "$config_dir/$file" "$config_dir/v2-kept.new.$$/$file"
        fi
    done
    mv "$config_dir/v2-kept.new.$$" "$config_dir/v2-kept"
}
v2=no
for sign in "$dir"/dpmp/dpmpv2*.py "$dir"/dpmp/weights_override.json "$units"/dpmpv2*.service; do
    [ ! -e "$sign" ] || v2=yes
done
if [ "$v2" = yes ]; then
    say "DPMP v2 is here: its config is $config"
    [ ! -f "$config_dir/best_shares.json" ] || say "its best shares are $config_dir/best_shares.json; they are taken over"
    if [ ! -d "$config_dir/v2-kept" ]; then
        step "keeping its files as they are in $config_dir/v2-kept" keep_v2
    fi
fi

# 3. The config.
if [ -f "$config" ]; then
    if [ -x "$program" ]; then
        step "adding to $config the keys that it lacks" merge_config "$program"
    fi
else
    step "making $config from the example" put "$(example)" "$config" 600
fi

# 4. The files that it needs. The program is replaced in one step; one that runs goes on with the old one until it is
#    started anew.
put_share
if [ "$changed" = yes ]; then
    words="putting the program into $bin"
    [ ! -x "$bin" ] || words="$words, and keeping the one that was here as $bin.before"
    step "$words" put_program
fi
[ "$check" = yes ] || [ -x "$bin" ] || die "$bin is missing"

# 5. The service.
ready=no
if [ "$check" = yes ]; then
    if [ -x "$program" ] && [ -f "$config" ]; then
        usable "$program" && ready=yes
    fi
elif usable "$bin"; then
    ready=yes
fi
stop_old() {
    mkdir -p "$share"
    # With those that an interrupted run has stopped.
    all=$(printf '%s %s' "$(cat "$share/v2-services" 2>/dev/null || :)" "$1" | tr -s ' ' '\n' | sort -u | tr '\n' ' ')
    printf '%s\n' "$all" | sed 's/^ *//; s/ *$//' >"$share/v2-services.new.$$"
    mv -f "$share/v2-services.new.$$" "$share/v2-services"
    # Until dpmp has started in its place there is a way back by itself.
    rm -f "$share/v2-replaced"
    for each in $1; do
        systemctl --user disable --now "$each" 2>/dev/null || :
    done
}
back_to_old() {
    systemctl --user disable --now "$service" 2>/dev/null || :
    runs=no
    for each in $1; do
        ! systemctl --user enable --now "$each" || runs=yes
    done
    [ "$runs" = yes ] || systemctl --user enable --now "$service" || :
}
replaced() {
    [ "$check" = yes ] || [ ! -f "$share/v2-services" ] || : >"$share/v2-replaced"
}
start_new() {
    if systemctl --user "$1" "$service"; then
        rm -f "$pending"
        replaced
        return 0
    fi
    if [ -n "$old" ]; then
        back_to_old "$old"
        if [ "$runs" = yes ]; then
            warn "dpmp did not start, so DPMP v2 runs again: journalctl --user -u dpmp says why"
        else
            warn "neither dpmp nor DPMP v2 ($old) starts: journalctl --user -u dpmp says why; dpmp goes on trying"
        fi
    else
        warn "dpmp did not start yet: journalctl --user -u dpmp says why; it goes on trying by itself"
    fi
}
if has_systemd; then
    step "putting the service into $unit" put_unit
    [ ! -e "$pending" ] || changed=yes
    step "telling systemd of it" systemctl --user daemon-reload
    if [ "$(loginctl show-user "$(id -un)" -p Linger 2>/dev/null)" != Linger=yes ]; then
        linger() {
            loginctl enable-linger "$(id -un)" 2>/dev/null ||
                warn "the service would end when you log out: sudo loginctl enable-linger $(id -un)"
        }
        step "letting the service run while nobody is logged in" linger
    fi
    old=$(old_running)
    if [ "$ready" = yes ]; then
        if [ -n "$old" ]; then
            step "stopping DPMP v2 ($old)" stop_old "$old"
            [ "$check" = no ] || say 'ports that DPMP v2 holds now will be free then'
        fi
        check_ports "$(config_ports "$program")"
        step "starting dpmp with the machine from now on" systemctl --user enable "$service"
        if ! active "$service"; then
            # A DPMP v2 that dpmp has replaced long ago is no way back by itself.
            old=
            [ -f "$share/v2-replaced" ] || old=$(cat "$share/v2-services" 2>/dev/null || :)
            step "starting dpmp" start_new start
        elif [ "$changed" = yes ]; then
            step "starting dpmp anew; miners come back by themselves" start_new restart
        else
            replaced
            say "dpmp runs already, and nothing has changed for it"
        fi
    else
        [ -z "$old" ] || warn "DPMP v2 ($old) goes on until dpmp can take over: run this again then"
        check_ports "$(config_ports "$program")"
    fi
else
    warn "there is no systemd for this user, so nothing is started by itself: $bin --config $config"
    check_ports "$(config_ports "$program")"
fi

# 6. What to do now.
ports=$(config_ports "$program")
say ''
if [ "$ready" = no ]; then
    warn "the config is not complete yet"
    if [ "$check" = no ]; then
        "$bin" check-config "$config" || :
    fi
    say "  1. write host, port and wallet of your pools into $config"
    say "  2. ask whether it is right: $bin check-config $config"
    say "  3. run this again, or start it by hand: $bin --config $config"
fi
for address in $(addresses | head -n 4); do
    say "miners     stratum+tcp://$address:$(port_of miners "$ports")"
    [ -z "$(port_of metrics "$ports")" ] || say "metrics    http://$address:$(port_of metrics "$ports")/metrics"
    [ -z "$(port_of dashboard "$ports")" ] || say "dashboard  http://$address:$(port_of dashboard "$ports")"
done
say "password   of the dashboard: in $config_dir/dashboard-password.txt after the first start"
say "log        journalctl --user -u dpmp -f"
say "config     $config; what you save there is in force a moment later"
if [ -f "$share/v2-services" ]; then
    say "way back   $share/uninstall.sh, then: systemctl --user enable --now $(cat "$share/v2-services")"
    say "           v2's files as they were: $config_dir/v2-kept"
fi
enough
