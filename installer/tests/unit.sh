#!/bin/sh
# Checks the systemd unit as install.sh writes it, and says how exposed it is.
set -eu
here=$(unset CDPATH && cd "$(dirname "$0")/.." && pwd)
command -v systemd-analyze >/dev/null || {
    echo 'left out: there is no systemd-analyze'
    exit 0
}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cp /bin/true "$T/dpmp"
mkdir -p "$T/bin"
cp /bin/true "$T/bin/dpmp"
sed -e "s#@DIR@#$T#g" -e "s#@CONFIG@#$T/config_v2.json#g" "$here/systemd/dpmp.service" >"$T/dpmp.service"
# Two keys are for newer versions of systemd than some that this runs on.
XDG_RUNTIME_DIR=$T systemd-analyze --user verify "$T/dpmp.service" 2>&1 |
    grep -v "RestartSteps\|RestartMaxDelaySec" | tee "$T/said" || :
if [ -s "$T/said" ]; then
    echo 'the unit is not clean'
    exit 1
fi
systemd-analyze security --offline=yes "$T/dpmp.service" 2>/dev/null >"$T/security" || :
exposure=$(sed -n 's/.*Overall exposure level for dpmp.service: \([0-9.]*\).*/\1/p' "$T/security")
echo "the unit is good; exposure $exposure"
grep -q "exposure of $exposure " "$here/README.md" || {
    echo "installer/README.md states another exposure than $exposure"
    exit 1
}
