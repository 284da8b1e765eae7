# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # what is set here is used there, and the other way round
# What install.sh, upgrade.sh and uninstall.sh share. POSIX sh: dash, busybox and bash run it. It is read, not run.
#
# Every change goes into a file of its own beside the old one and then takes its place, so that an end at any line leaves
# the old or the new, and the next run mends the rest.

umask 077
check=no
warnings=0
dir=${DPMP_DIR:-$HOME/dpmp}
service=dpmp.service
units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
old_services='dpmpv2.service dpmpv2-nicegui.service dpmpv2-gui.service'

say() { printf '%s\n' "$*"; }
warn() {
    warnings=$((warnings + 1))
    printf 'warning: %s\n' "$*"
}
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
usage_error() {
    printf '%s\n\n%s\n' "$*" "$usage" >&2
    exit 2
}

# step WORDS COMMAND...: says what is done, and does it; with --check it only says.
step() {
    words=$1
    shift
    if [ "$check" = yes ]; then
        say "would: $words"
    else
        say "$words"
        "$@"
    fi
}

set_dir() {
    case $1 in
    /*) dir=$1 ;;
    *) dir=$(pwd)/$1 ;;
    esac
}

# Where everything is, once the folder is known.
places() {
    case $dir in
    *[!A-Za-z0-9_./@+-]*) die "the folder $dir has a space or a sign in its name that systemd units cannot have" ;;
    esac
    bin=$dir/bin/dpmp
    share=$dir/share
    config_dir=$dir/dpmp
    config=$config_dir/config_v2.json
    unit=$units/$service
    # There as long as the program or the unit is newer than what runs, also after an end at any line.
    pending=$share/restart-pending
}

not_root() {
    [ "$(id -u)" != 0 ] ||
        die 'this is not for root: run it as the user that is to own dpmp; no step needs more rights'
}

# put FROM TO MODE: TO becomes a copy of FROM, at once or not at all. Nothing happens if it is one already.
put() {
    if ! cmp -s "$1" "$2"; then
        mkdir -p "$(dirname "$2")"
        cp "$1" "$2.new.$$"
        chmod "$3" "$2.new.$$"
        mv -f "$2.new.$$" "$2"
    fi
}

# The program in $staged takes its place, and the one that was there becomes $bin.before. $staged may be $bin.before itself
# (the way back): so both are copied before either changes, and an end between the two moves never loses the one wanted.
put_program() {
    mkdir -p "$dir/bin" "$share"
    : >"$pending"
    cp "$staged" "$bin.new.$$"
    chmod 755 "$bin.new.$$"
    if [ ! -x "$bin" ]; then
        mv -f "$bin.new.$$" "$bin"
        return 0
    fi
    cp "$bin" "$bin.before.new.$$"
    chmod 755 "$bin.before.new.$$"
    if cmp -s "$staged" "$bin.before"; then
        mv -f "$bin.new.$$" "$bin"
        mv -f "$bin.before.new.$$" "$bin.before"
    else
        mv -f "$bin.before.new.$$" "$bin.before"
        mv -f "$bin.new.$$" "$bin"
    fi
}

# What an interrupted run has left.
sweep() {
    for left in "$dir"/bin/*.new.[0-9]* "$share"/*.new.[0-9]* "$share"/systemd/*.new.[0-9]* \
        "$config_dir"/*.new.[0-9]* "$units"/dpmp.service.new.[0-9]*; do
        if [ -e "$left" ]; then
            step "removing $left, left by a run that was interrupted" rm -rf "$left"
        fi
    done
}

has_systemd() {
    command -v systemctl >/dev/null 2>&1 && systemctl --user show-environment >/dev/null 2>&1
}

active() { systemctl --user is-active --quiet "$1" 2>/dev/null; }

# The old services that run or start by themselves.
old_running() {
    for old in $old_services; do
        if active "$old" || systemctl --user is-enabled --quiet "$old" 2>/dev/null; then
            printf '%s ' "$old"
        fi
    done
}

# The process that listens on a port, as "name (pid)"; nothing if none does.
holder() {
    hex=$(printf '%04X' "$1")
    inodes=$(awk -v port=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null | sort -u)
    [ -n "$inodes" ] || return 0
    for inode in $inodes; do
        # shellcheck disable=SC2012 # find of busybox may not know -lname
        pid=$(ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v want="socket:[$inode]" '
            /^\/proc\// { split($1, part, "/"); pid = part[3] }
            $NF == want { print pid; exit }')
        if [ -n "$pid" ]; then
            printf '%s (process %s)\n' "$(cat "/proc/$pid/comm" 2>/dev/null)" "$pid"
        else
            printf 'a program of another user\n'
        fi
        return 0
    done
}

# Says who holds the ports that dpmp wants. $1: lines "miners HOST:PORT".
check_ports() {
    while read -r what address; do
        [ -n "$what" ] || continue
        port=${address##*:}
        who=$(holder "$port")
        case $who in
        '') say "port $port ($what) is free" ;;
        'dpmp ('*) say "port $port ($what) is held by dpmp itself: $who" ;;
        *) warn "port $port ($what) is held by $who; dpmp needs it, or another one in $config" ;;
        esac
    done <<PORTS
$1
PORTS
}

default_ports='miners 0.0.0.0:3351
metrics 0.0.0.0:9210
dashboard 0.0.0.0:8855'

# The ports of the config; the example's if there is none that can be used.
config_ports() {
    found=
    if [ -x "$1" ] && [ -f "$config" ]; then
        found=$("$1" check-config "$config" 2>/dev/null | sed -n 's/^listens: //p')
    fi
    printf '%s\n' "${found:-$default_ports}"
}

# port_of NAME LINES
port_of() { printf '%s\n' "$2" | sed -n "s/^$1 .*:\\([0-9]*\\)\$/\\1/p"; }

# This machine's addresses in its networks.
addresses() {
    found=$(ip -4 -o addr show scope global 2>/dev/null | awk '{ sub("/.*", "", $4); print $4 }' || :)
    [ -n "$found" ] || found=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -v : || :)
    printf '%s\n' "${found:-<address of this machine>}"
}

# The new binary in $staged: from --binary, from the checkout, or beside these scripts.
stage_binary() {
    if [ -z "$from" ] && [ -f "$here/../dpmp" ] && [ -x "$here/../dpmp" ]; then
        from=$here/../dpmp
    fi
    if [ -z "$from" ] && [ -f "$here/../Cargo.toml" ] && command -v cargo >/dev/null 2>&1; then
        step "building dpmp with cargo, which takes a few minutes" build || die 'cargo could not build dpmp: see above'
        from=${CARGO_TARGET_DIR:-$here/../target}/release/dpmp
        [ "$check" = no ] || return 0
    fi
    if [ -z "$from" ]; then
        if [ -x "$bin" ]; then
            say "no new program: $bin stays (give one with --binary, or install cargo from https://rustup.rs)"
            return 0
        fi
        [ "$check" = no ] || {
            warn 'there is no program to install: give one with --binary FILE, or install cargo from https://rustup.rs'
            return 0
        }
        die 'there is no program to install: give one with --binary FILE, or install cargo from https://rustup.rs'
    fi
    [ -f "$from" ] || die "there is no file $from"
    version=$("$from" --version 2>/dev/null) || die "$from does not run on this machine ($(uname -m)): it is for another"
    say "program: $from, $version"
    staged=$from
}

build() { (cd "$here/.." && cargo build --release --locked -p dpmp); }

# The files that an installation keeps, so that it needs the checkout no more.
put_share() {
    for file in install.sh upgrade.sh uninstall.sh; do
        step "keeping $file in $share" put "$here/$file" "$share/$file" 755
    done
    for file in lib.sh systemd/dpmp.service; do
        step "keeping ${file##*/} in $share" put "$here/$file" "$share/$file" 644
    done
    step "keeping the example of a config in $share" put "$(example)" "$share/config_v2_example.json" 644
}

example() {
    for found in "$here/../config_v2_example.json" "$here/config_v2_example.json"; do
        if [ -f "$found" ]; then
            printf '%s\n' "$found"
            return 0
        fi
    done
    die "config_v2_example.json is missing beside the installer"
}

# The unit with its paths in it.
put_unit() {
    mkdir -p "$share" "$units"
    sed -e "s#@DIR@#$dir#g" -e "s#@CONFIG@#$config#g" "$here/systemd/dpmp.service" >"$share/unit.new.$$"
    cmp -s "$share/unit.new.$$" "$unit" || : >"$pending"
    put "$share/unit.new.$$" "$unit" 644
    rm -f "$share/unit.new.$$"
}

# True if the config can be used by this program.
usable() { [ -x "$1" ] && "$1" check-config "$config" >/dev/null 2>&1; }

merge_config() {
    "$1" merge-config "$(example)" "$config" || warn "the config could not be merged and is as it was: see above"
}

enough() {
    if [ "$check" = yes ]; then
        say 'nothing was changed: --check'
    elif [ "$warnings" -gt 0 ]; then
        say "done, with $warnings warnings: see above"
    fi
}
