#!/bin/sh
# Tries the three scripts in scratch homes: fresh, twice, upgraded, over DPMP v2, without systemd, and killed at each command that
# they run. systemctl and loginctl are stand-ins that record what they are asked.
# usage: tests/check.sh DPMP_BINARY; as root it goes on as the user nobody.
# shellcheck disable=SC2015,SC2016 # "A && B || fail" is meant so; quotes that do not expand are for other scripts
set -eu
here=$(unset CDPATH && cd "$(dirname "$0")/.." && pwd)
binary=$1
if [ "$(id -u)" = 0 ]; then
    # What that user cannot read is copied to where it can.
    place=$(mktemp -d)
    chmod 755 "$place"
    mkdir "$place/repo"
    cp -r "$here" "$place/repo/installer"
    cp "$here/../config_v2_example.json" "$place/repo/"
    cp "$binary" "$place/dpmp"
    chmod -R a+rX "$place"
    mkdir "$place/home"
    chown nobody "$place/home"
    result=0
    setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$PATH" TMPDIR="$place/home" STRIDE="${STRIDE:-1}" \
        sh "$place/repo/installer/tests/check.sh" "$place/dpmp" || result=$?
    rm -rf "$place"
    exit "$result"
fi

T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
stubs=$T/stubs
mkdir -p "$stubs"
cat >"$stubs/systemctl" <<'STUB'
#!/bin/sh
echo "systemctl $*" >>"$STUB/calls"
[ "$1" = --user ] || exit 1
shift
verb=$1
shift
now=no
units=
for word; do
    case $word in
    --now) now=yes ;;
    --*) ;;
    *) units="$units $word" ;;
    esac
done
for unit in $units; do
    case $verb in
    is-active) [ -e "$STUB/active-$unit" ] || exit 3 ;;
    is-enabled) [ -e "$STUB/enabled-$unit" ] || exit 1 ;;
    enable)
        : >"$STUB/enabled-$unit"
        [ $now = no ] || : >"$STUB/active-$unit"
        ;;
    disable)
        rm -f "$STUB/enabled-$unit"
        [ $now = no ] || rm -f "$STUB/active-$unit"
        ;;
    start | restart)
        rm -f "$STUB/active-$unit"
        [ ! -e "$STUB/fail-start" ] || exit 1
        : >"$STUB/active-$unit"
        ;;
    esac
done
exit 0
STUB
cat >"$stubs/loginctl" <<'STUB'
#!/bin/sh
echo "loginctl $*" >>"$STUB/calls"
case $1 in
show-user) [ ! -e "$STUB/linger" ] || echo Linger=yes ;;
enable-linger) : >"$STUB/linger" ;;
esac
STUB
chmod +x "$stubs"/*

fail() {
    printf 'FAILED (%s): %s\n' "$scene" "$*" >&2
    [ ! -f "$T/out" ] || sed 's/^/    /' "$T/out" >&2
    exit 1
}
has() { grep -q -- "$1" "$T/out" || fail "it does not say: $1"; }
called() { grep -q -- "$1" "$STUB/calls" || fail "it does not call: $1"; }
not_called() { ! grep -q -- "$1" "$STUB/calls" || fail "it calls: $1"; }
tree() { (cd "$HOME" && find . -type f ! -path './stub/*' -exec cksum {} + | sort); }

home() {
    scene="$shell, $1"
    rm -rf "${T:?}/home"
    HOME=$T/home
    STUB=$HOME/stub
    mkdir -p "$STUB"
    : >"$STUB/calls"
    export HOME STUB
}
# run STATUS SCRIPT ARGUMENTS...
run() {
    want=$1
    script=$2
    shift 2
    status=0
    : >"$STUB/calls"
    # shellcheck disable=SC2086 # a shell may be two words
    PATH=$path $shell "$script" "$@" >"$T/out" 2>&1 </dev/null || status=$?
    [ "$status" = "$want" ] || fail "$script ended with $status, not $want"
}
fill() {
    sed -e 's/POOL_A_HOST/a.example/; s/POOL_B_HOST/b.example/; s/POOL_A_WALLET/wa/; s/POOL_B_WALLET/wb/' \
        "$HOME/dpmp/dpmp/config_v2.json" >"$T/filled"
    cp "$T/filled" "$HOME/dpmp/dpmp/config_v2.json"
}
v2_folder() {
    mkdir -p "$HOME/dpmp/dpmp" "$HOME/.config/systemd/user"
    cat >"$HOME/dpmp/dpmp/config_v2.json" <<'JSON'
{
  "listen": {"host": "0.0.0.0", "port": 3399},
  "pools": {
    "A": {"name": "mine", "host": "a.example", "port": "3333", "wallet": "walletA", "chain": "BTC"},
    "B": {"host": "b.example", "port": 3334, "wallet": "walletB", "chain": "BCH"}
  },
  "scheduler": {"poolA_weight": 70, "poolB_weight": 30, "min_switch_seconds": 40},
  "my_note": "kept"
}
JSON
    printf '{"garage": 123456.0}\n' >"$HOME/dpmp/dpmp/best_shares.json"
    : >"$HOME/dpmp/dpmp/dpmpv2.py"
    : >"$HOME/dpmp/dpmpv2_run.log"
    for old in dpmpv2.service dpmpv2-nicegui.service; do
        : >"$HOME/.config/systemd/user/$old"
        : >"$STUB/active-$old"
        : >"$STUB/enabled-$old"
    done
}
# The values of the old config are all in the new one.
same_values() {
    python3 - "$1" "$2" <<'PYTHON' || fail "a value of the config has changed"
import json, sys
old, new = (json.load(open(name)) for name in sys.argv[1:])
def inside(old, new):
    if isinstance(old, dict):
        return all(key in new and inside(old[key], new[key]) for key in old)
    return old == new
sys.exit(not inside(old, new))
PYTHON
}

fresh_and_twice() {
    home 'nothing there, --check'
    run 0 "$here/install.sh" --binary "$binary" --check
    has 'would: '
    has 'nothing was changed'
    [ -z "$(tree)" ] || fail "--check has written: $(tree)"
    not_called ' enable '
    not_called 'enable-linger'

    home 'fresh'
    run 0 "$here/install.sh" --binary "$binary"
    has 'the config is not complete yet'
    cmp -s "$here/../config_v2_example.json" "$HOME/dpmp/dpmp/config_v2.json" || fail 'the config is not the example'
    grep -q "ExecStart=$HOME/dpmp/bin/dpmp --config $HOME/dpmp/dpmp/config_v2.json" "$HOME/.config/systemd/user/dpmp.service" ||
        fail 'the unit has other paths'
    not_called ' start dpmp'
    fill
    run 0 "$HOME/dpmp/share/install.sh"
    called 'systemctl --user enable dpmp.service'
    called 'systemctl --user start dpmp.service'
    has 'stratum+tcp://'
    has 'dashboard-password.txt'
    : >"$HOME/dpmp/dpmp/auth.json"

    scene="$shell, twice"
    before=$(tree)
    run 0 "$here/install.sh" --binary "$binary"
    [ "$before" = "$(tree)" ] || fail 'the second time something has changed'
    not_called ' start '
    not_called ' restart '
    run 0 "$here/install.sh" --binary "$binary" --check
    run 0 "$HOME/dpmp/share/upgrade.sh" --check
    run 0 "$HOME/dpmp/share/uninstall.sh" --check
    [ "$before" = "$(tree)" ] || fail '--check has changed something'

    scene="$shell, upgrade"
    printf '#!/bin/sh\nexec %s "$@"\n' "$binary" >"$T/newer"
    chmod +x "$T/newer"
    run 0 "$here/upgrade.sh" --binary "$T/newer"
    called 'systemctl --user restart dpmp.service'
    cmp -s "$T/newer" "$HOME/dpmp/bin/dpmp" || fail 'the new program is not there'
    cmp -s "$binary" "$HOME/dpmp/bin/dpmp.before" || fail 'the old program is not kept'
    run 0 "$HOME/dpmp/share/upgrade.sh" --binary "$HOME/dpmp/bin/dpmp.before"
    cmp -s "$binary" "$HOME/dpmp/bin/dpmp" || fail 'the way back does not bring the old program'
    cmp -s "$T/newer" "$HOME/dpmp/bin/dpmp.before" || fail 'the program that was gone away from is not kept'
    called 'systemctl --user restart dpmp.service'
    run 0 "$HOME/dpmp/share/upgrade.sh" --binary "$HOME/dpmp/bin/dpmp.before"
    cmp -s "$T/newer" "$HOME/dpmp/bin/dpmp" || fail 'there is no way forth again'
    : >"$HOME/dpmp/share/restart-pending"
    run 0 "$here/upgrade.sh" --binary "$T/newer"
    called 'systemctl --user restart dpmp.service'
    run 0 "$here/upgrade.sh" --binary "$T/newer"
    not_called ' restart '
    : >"$STUB/fail-start"
    run 0 "$here/upgrade.sh" --binary "$binary"
    has 'the one before runs again'
    cmp -s "$T/newer" "$HOME/dpmp/bin/dpmp" || fail 'the program that ran is not back'
    rm "$STUB/fail-start"
    printf '#!/bin/sh\n[ "$1" != --version ] || exec %s --version\nexit 2\n' "$binary" >"$T/picky"
    chmod +x "$T/picky"
    before=$(tree)
    run 1 "$here/upgrade.sh" --binary "$T/picky"
    has 'cannot use your config'
    [ "$before" = "$(tree)" ] || fail 'something has changed'
    run 1 "$here/upgrade.sh" --binary /nonexistent
    printf 'no program' >"$T/broken"
    run 1 "$here/install.sh" --binary "$T/broken"
    [ "$before" = "$(tree)" ] || fail 'a broken program has changed something'

    scene="$shell, uninstall"
    run 0 "$HOME/dpmp/share/uninstall.sh"
    called 'disable --now dpmp.service'
    [ ! -e "$HOME/dpmp/bin" ] && [ ! -e "$HOME/dpmp/share" ] || fail 'the program is still there'
    cmp -s "$T/filled" "$HOME/dpmp/dpmp/config_v2.json" || fail 'the config has changed'
    [ -e "$HOME/dpmp/dpmp/auth.json" ] || fail 'the credentials are gone'
    before=$(tree)
    run 0 "$here/uninstall.sh"
    run 0 "$here/upgrade.sh" --check
    [ "$before" = "$(tree)" ] || fail 'the second time something has changed'
    run 2 "$here/install.sh" --nonsense
    run 1 "$here/upgrade.sh" --binary "$binary"
}

over_v2() {
    home 'over DPMP v2'
    v2_folder
    cp -r "$HOME/dpmp/dpmp" "$T/v2"
    : >"$STUB/fail-start"
    run 0 "$here/install.sh" --binary "$binary"
    has 'DPMP v2 runs again'
    [ -e "$STUB/active-dpmpv2.service" ] && [ -e "$STUB/enabled-dpmpv2-nicegui.service" ] || fail 'v2 does not run again'
    rm "$STUB/fail-start"
    run 0 "$here/install.sh" --binary "$binary"
    has 'DPMP v2 is here'
    has 'systemctl --user enable --now dpmpv2-nicegui.service dpmpv2.service'
    has ':3399'
    called 'systemctl --user start dpmp.service'
    for old in dpmpv2.service dpmpv2-nicegui.service; do
        [ ! -e "$STUB/active-$old" ] && [ ! -e "$STUB/enabled-$old" ] || fail "$old still runs"
    done
    for file in config_v2.json best_shares.json; do
        cmp -s "$T/v2/$file" "$HOME/dpmp/dpmp/v2-kept/$file" || fail "$file is not kept as it was"
    done
    cmp -s "$T/v2/best_shares.json" "$HOME/dpmp/dpmp/best_shares.json" || fail 'the best shares have changed'
    same_values "$T/v2/config_v2.json" "$HOME/dpmp/dpmp/config_v2.json"
    [ "$(find "$HOME/dpmp/dpmp" -name 'config_v2.json.backup.*' | wc -l)" = 1 ] || fail 'there is not one backup'
    # Long after, dpmp does not start once: that is no reason to go back to a DPMP v2 that it has replaced.
    rm -f "$STUB/active-dpmp.service"
    : >"$STUB/fail-start"
    run 0 "$here/install.sh" --binary "$binary"
    has 'it goes on trying by itself'
    [ -e "$STUB/enabled-dpmp.service" ] && [ ! -e "$STUB/enabled-dpmpv2.service" ] || fail 'v2 is back'
    rm "$STUB/fail-start"
    run 0 "$here/install.sh" --binary "$binary"
    run 0 "$HOME/dpmp/share/uninstall.sh"
    has 'DPMP v2 runs again after: systemctl --user enable --now dpmpv2-nicegui.service dpmpv2.service'
    [ -e "$HOME/dpmp/dpmpv2_run.log" ] || fail "v2's log is gone"
    rm -rf "$T/v2"

    home 'over DPMP v2, with a config that cannot be used'
    v2_folder
    printf '{"pools": {"A": {"port": []}}}' >"$HOME/dpmp/dpmp/config_v2.json"
    run 0 "$here/install.sh" --binary "$binary"
    has 'goes on until dpmp can take over'
    [ -e "$STUB/active-dpmpv2.service" ] || fail 'v2 was stopped for nothing'
}

without_systemd() {
    home 'without systemd'
    path=$bare
    run 0 "$here/install.sh" --binary "$binary"
    has 'there is no systemd for this user'
    fill
    run 0 "$here/install.sh" --binary "$binary"
    has "$HOME/dpmp/bin/dpmp --config $HOME/dpmp/dpmp/config_v2.json"
    run 0 "$here/uninstall.sh"
    [ ! -e "$HOME/dpmp/bin/dpmp" ] || fail 'the program is still there'
    path=$stubs:$bare
}

# Every command that the scripts run counts, and at the n-th everything is killed, before or after it.
shims() {
    mkdir -p "$T/shims"
    for command in mkdir cp mv rm rmdir chmod cat sed cmp systemctl loginctl; do
        real=$(PATH=$stubs:$bare command -v "$command")
        cat >"$T/shims/$command" <<SHIM
#!/bin/sh
n=\$((\$(/bin/cat "\$STUB/count" 2>/dev/null || echo 0) + 1))
echo \$n >"\$STUB/count"
[ "\$n" != "\$KILL_BEFORE" ] || kill -9 0
if [ "\$n" = "\$KILL_AFTER" ]; then
    $real "\$@"
    kill -9 0
fi
exec $real "\$@"
SHIM
        chmod +x "$T/shims/$command"
    done
}
interrupted() {
    shims
    home 'over DPMP v2, in one go'
    v2_folder
    cp "$HOME/dpmp/dpmp/config_v2.json" "$T/old.json"
    export KILL_BEFORE=0 KILL_AFTER=0
    path=$T/shims:$stubs:$bare
    run 0 "$here/install.sh" --binary "$binary"
    commands=$(cat "$STUB/count")
    [ "$commands" -gt 30 ] || fail "only $commands commands were counted"
    goal=$(tree | grep -v 'backup\|v2-services' | awk '{ print $1, $2, $3 }')
    for when in before after; do
        at=1
        while [ "$at" -le "$commands" ]; do
            home "killed $when command $at of $commands"
            v2_folder
            KILL_BEFORE=0 KILL_AFTER=0
            if [ $when = before ]; then KILL_BEFORE=$at; else KILL_AFTER=$at; fi
            # A process group of its own dies, and nothing else.
            # shellcheck disable=SC2086
            PATH=$path setsid -w $shell "$here/install.sh" --binary "$binary" >"$T/out" 2>&1 </dev/null || :
            "$binary" check-config "$HOME/dpmp/dpmp/config_v2.json" >/dev/null || fail 'the config is broken'
            same_values "$T/old.json" "$HOME/dpmp/dpmp/config_v2.json"
            if [ -e "$HOME/dpmp/bin/dpmp" ]; then
                "$HOME/dpmp/bin/dpmp" --version >/dev/null || fail 'the program is broken'
            fi
            KILL_BEFORE=0 KILL_AFTER=0
            path_before=$path
            path=$stubs:$bare
            run 0 "$here/install.sh" --binary "$binary"
            path=$path_before
            after=$(tree | grep -v 'backup\|v2-services' | awk '{ print $1, $2, $3 }')
            [ "$after" = "$goal" ] || {
                printf '%s\n' "$goal" >"$T/goal"
                printf '%s\n' "$after" | diff "$T/goal" - >"$T/out" || :
                fail 'the next run does not mend it'
            }
            [ -e "$STUB/active-dpmp.service" ] && [ ! -e "$STUB/active-dpmpv2.service" ] || fail 'dpmp does not run'
            [ "$(cat "$HOME/dpmp/share/v2-services")" = 'dpmpv2-nicegui.service dpmpv2.service' ] ||
                fail "the way back is lost: $(cat "$HOME/dpmp/share/v2-services")"
            at=$((at + ${STRIDE:-1}))
        done
    done
    path=$stubs:$bare
    say_done "killed before and after each ${STRIDE:-1}. of $commands commands"
}
# An upgrade that is killed while dpmp runs: the next one must start the new program, and the way back must still be one.
upgrade_interrupted() {
    printf '#!/bin/sh\nexec %s "$@"\n' "$binary" >"$T/newer"
    chmod +x "$T/newer"
    path=$stubs:$bare
    home 'an upgrade, to be killed'
    run 0 "$here/install.sh" --binary "$binary"
    fill
    run 0 "$here/install.sh" --binary "$binary"
    rm -rf "$T/saved"
    cp -r "$HOME" "$T/saved"
    for way in forth back; do
        at=1
        commands=1
        while [ "$at" -le "$commands" ]; do
            home "upgrade ($way) killed before command $at"
            rm -rf "$HOME"
            cp -r "$T/saved" "$HOME"
            KILL_BEFORE=0 KILL_AFTER=0
            to=$T/newer
            aim=$T/newer
            if [ $way = back ]; then
                path=$stubs:$bare
                run 0 "$here/upgrade.sh" --binary "$T/newer"
                to=$HOME/dpmp/bin/dpmp.before
                aim=$binary
            fi
            path=$T/shims:$stubs:$bare
            rm -f "$STUB/count"
            if [ "$commands" = 1 ]; then
                cp -r "$HOME" "$T/once"
                run 0 "$here/upgrade.sh" --binary "$to"
                commands=$(cat "$STUB/count")
                rm -rf "$HOME"
                mv "$T/once" "$HOME"
                rm -f "$STUB/count"
            fi
            : >"$STUB/calls"
            KILL_BEFORE=$at
            # shellcheck disable=SC2086
            PATH=$path setsid -w $shell "$here/upgrade.sh" --binary "$to" >"$T/out" 2>&1 </dev/null || :
            KILL_BEFORE=0
            "$HOME/dpmp/bin/dpmp" --version >/dev/null || fail 'the program is broken'
            cp "$STUB/calls" "$T/calls"
            path=$stubs:$bare
            # What was wanted may be in its place already; then what is kept is the other one.
            cmp -s "$aim" "$HOME/dpmp/bin/dpmp" && to=$HOME/dpmp/bin/dpmp
            run 0 "$here/upgrade.sh" --binary "$to"
            cmp -s "$aim" "$HOME/dpmp/bin/dpmp" || fail 'the program that was wanted is not there'
            cat "$T/calls" >>"$STUB/calls"
            called 'restart dpmp.service'
            [ ! -e "$HOME/dpmp/share/restart-pending" ] || fail 'it would start anew once more'
            at=$((at + 1))
        done
    done
    say_done "an upgrade and its way back, killed before each of $commands commands"
}
say_done() { printf 'good: %s\n' "$*"; }

who_holds_a_port() {
    scene='who holds a port'
    : >"$T/port"
    python3 -c '
import socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
open(sys.argv[1], "w").write(str(s.getsockname()[1]))
time.sleep(20)' "$T/port" &
    listener=$!
    until [ -s "$T/port" ]; do sleep 0.1; done
    # shellcheck source-path=SCRIPTDIR/.. source=lib.sh
    who=$(HOME=$T && . "$here/lib.sh" && holder "$(cat "$T/port")")
    kill "$listener"
    [ "$who" = "python3 (process $listener)" ] || fail "it says '$who'"
    say_done "$scene"
}

bare=/usr/local/bin:/usr/bin:/bin
path=$stubs:$bare
who_holds_a_port
for shell in dash 'busybox sh' 'bash --posix'; do
    command -v "${shell%% *}" >/dev/null || {
        printf 'left out: there is no %s\n' "$shell"
        continue
    }
    fresh_and_twice
    over_v2
    without_systemd
    say_done "$shell: fresh, twice, upgraded, over v2, without systemd"
done
shell=dash
interrupted
upgrade_interrupted
