#!/bin/sh
# Brings an installed dpmp up to date. See the usage below, and docs/operating.md.
set -eu
here=$(unset CDPATH && cd "$(dirname "$0")" && pwd)
usage='usage: upgrade.sh [--binary FILE] [--dir FOLDER] [--check]
  --binary FILE  the new program; without it the checkout is built (git pull first)
  --dir FOLDER   the installation, if it is not ~/dpmp
  --check        say every step and change nothing
The new program is tried on your config before anything changes. If it does not start, the old one is put back.'
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
if [ ! -x "$bin" ] || [ ! -f "$config" ]; then
    if [ "$check" = yes ]; then
        warn "dpmp is not installed in $dir: install.sh does that"
        enough
        exit 0
    fi
    die "dpmp is not installed in $dir: run install.sh"
fi
say "upgrading dpmp in $dir, now $("$bin" --version)"
sweep
stage_binary
program=${staged:-$bin}
if [ -x "$program" ] && usable "$bin" && ! usable "$program"; then
    "$program" check-config "$config" || :
    die 'the new program cannot use your config, which the one that runs can: nothing was changed'
fi

if [ -x "$program" ]; then
    step "adding to $config the keys that it lacks" merge_config "$program"
fi
put_share
changed=no
if [ -n "$staged" ] && ! cmp -s "$staged" "$bin"; then
    changed=yes
    step "putting the new program into $bin, and keeping the one that is here as $bin.before" put_program
fi

restart() {
    if systemctl --user restart "$service"; then
        rm -f "$pending"
        say "dpmp runs: $("$bin" --version)"
        return 0
    fi
    if [ "$changed" = yes ]; then
        put "$bin.before" "$bin" 755
        if systemctl --user restart "$service"; then
            rm -f "$pending"
        fi
        warn "the new program did not start, and the one before runs again: journalctl --user -u dpmp says why"
    else
        warn "dpmp did not start: journalctl --user -u dpmp says why; it goes on trying by itself"
    fi
}
if has_systemd; then
    step "bringing the service up to date" put_unit
    step "telling systemd of it" systemctl --user daemon-reload
    if ! active "$service"; then
        # Whenever it is started, that is the new one.
        [ "$check" = yes ] || rm -f "$pending"
        say "dpmp does not run now, and is not started: systemctl --user start dpmp"
    elif [ "$changed" = yes ] || [ -e "$pending" ]; then
        step "starting dpmp anew; miners come back by themselves within seconds" restart
    else
        say "dpmp is up to date"
    fi
else
    warn "there is no systemd for this user: end dpmp (it takes less than 2 s) and start $bin --config $config"
fi
say "way back   $share/upgrade.sh --binary $bin.before"
enough
