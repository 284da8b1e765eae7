#!/bin/sh
# Takes dpmp off this machine, and leaves what is yours. See the usage below, and docs/operating.md.
set -eu
here=$(unset CDPATH && cd "$(dirname "$0")" && pwd)
usage='usage: uninstall.sh [--dir FOLDER] [--check]
  --dir FOLDER  the installation, if it is not ~/dpmp
  --check       say every step and change nothing
Service and program go. Config, credentials, logs, recordings and what was counted stay.'
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$here/lib.sh"

while [ $# -gt 0 ]; do
    case $1 in
    --dir) [ $# -gt 1 ] || usage_error '--dir needs a folder' && set_dir "$2" && shift ;;
    --check) check=yes ;;
    -h | --help) say "$usage" && exit 0 ;;
    *) usage_error "unknown: $1" ;;
    esac
    shift
done
places
not_root
say "uninstalling dpmp from $dir"
sweep

if has_systemd; then
    if [ -e "$unit" ] || active "$service"; then
        stop() { systemctl --user disable --now "$service" 2>/dev/null || warn 'the service could not be stopped'; }
        step "stopping dpmp; it lets the pools answer first" stop
    fi
elif [ -x "$bin" ]; then
    warn "there is no systemd for this user: if dpmp runs, end it by hand"
fi
gone() {
    if [ -e "$1" ]; then
        step "removing $1" rm -f "$1"
    fi
}
gone "$unit"
if has_systemd; then
    step "telling systemd of it" systemctl --user daemon-reload
fi
way_back=$(cat "$share/v2-services" 2>/dev/null || :)
gone "$bin"
gone "$bin.before"
for file in upgrade.sh config_v2_example.json v2-services v2-replaced restart-pending install.sh systemd/dpmp.service lib.sh uninstall.sh; do
    gone "$share/$file"
done
for folder in "$share/systemd" "$share" "$dir/bin"; do
    if [ -d "$folder" ]; then
        # A folder that holds something else stays.
        step "removing $folder if it is empty" rmdir "$folder" 2>/dev/null || :
    fi
done
say ''
say "what is yours stays: $config_dir (config, credentials, best shares, recordings, logs)"
say "to remove that too: rm -r $config_dir"
if [ -n "$way_back" ]; then
    say "DPMP v2 runs again after: systemctl --user enable --now $way_back"
    say "its config and best shares as they were: $config_dir/v2-kept"
fi
enough
