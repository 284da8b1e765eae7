#!/bin/sh
# All that CI checks of what operators get: scripts, service, dashboards, rules. Tools that are missing are said and left out.
# usage: tests/all.sh DPMP_BINARY
set -eu
here=$(unset CDPATH && cd "$(dirname "$0")" && pwd)
binary=$1
if command -v shellcheck >/dev/null; then
    shellcheck -x "$here"/../*.sh "$here"/*.sh
    echo 'good: shellcheck'
else
    echo 'left out: there is no shellcheck'
fi
"$here/unit.sh"
python3 "$here/../grafana/make.py" --check
echo 'good: the dashboards are as make.py writes them'
python3 "$here/metrics.py" "$binary"
# Killed at each third command here; STRIDE=1 takes three times as long.
STRIDE=${STRIDE:-3} "$here/check.sh" "$binary"
