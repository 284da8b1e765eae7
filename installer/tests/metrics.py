#!/usr/bin/env python3
"""A real Prometheus scrapes the demo; every query of the dashboards and rules is evaluated. usage: metrics.py DPMP_BINARY"""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

INSTALLER = pathlib.Path(__file__).resolve().parent.parent
RUNBOOK = INSTALLER.parent / "docs" / "runbook.md"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def wait(what, look, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = look()
            if found:
                return found
        except (OSError, ValueError):
            pass
        time.sleep(0.5)
    sys.exit(f"waited in vain for {what}")


def query(base, expr):
    url = f"{base}/api/v1/query?" + urllib.parse.urlencode({"query": expr})
    try:
        answer = json.loads(get(url))
    except urllib.error.HTTPError as error:
        return None, error.read().decode()
    return answer["data"]["result"], ""


def expressions():
    """(where, expression, may be empty)"""
    for path in sorted((INSTALLER / "grafana").glob("*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            if panel["type"] == "row":
                continue
            assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"], (path.name, panel["title"])
            for target in panel["targets"]:
                yield f"{path.name}, {panel['title']}", target["expr"], False
        for note in board["annotations"]["list"]:
            yield f"{path.name}, annotation {note['name']}", note["expr"], True
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
                yield f"{path.name}, variable {variable['name']}", f"count by ({found[2]}) ({found[1]})", False


def filled(expr):
    for name in ("instance", "pool", "worker"):
        expr = expr.replace(f"${name}", ".*")
    return expr.replace("$__rate_interval", "15s")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    for tool in ("prometheus", "promtool"):
        if not shutil.which(tool):
            print(f"left out: there is no {tool}")
            return
    rules = INSTALLER / "prometheus"
    for command in (["check", "rules", rules / "alerts.yml"], ["test", "rules", rules / "alerts_test.yml"],
                    ["check", "config", rules / "prometheus.yml"]):
        subprocess.run(["promtool", *command], check=True, cwd=rules, stdout=subprocess.DEVNULL)
    headings = {line[3:].strip().lower() for line in RUNBOOK.read_text().splitlines() if line.startswith("## ")}
    names = re.findall(r"- alert: (\w+)", (rules / "alerts.yml").read_text())
    missing = [name for name in names if name.lower() not in headings]
    assert not missing, f"docs/runbook.md has no page for {missing}"

    folder = pathlib.Path(tempfile.mkdtemp())
    listen, metrics, dashboard, web = (free_port() for _ in range(4))
    config = folder / "prometheus.yml"
    text = (rules / "prometheus.yml").read_text()
    text = text.replace("15s", "1s").replace("127.0.0.1:9210", f"127.0.0.1:{metrics}")
    config.write_text(text.replace("alerts.yml", str(rules / "alerts.yml")))
    demo = subprocess.Popen(
        [binary, "demo", "--seconds", "120", "--listen", f"127.0.0.1:{listen}", "--metrics", f"127.0.0.1:{metrics}",
         "--dashboard", f"127.0.0.1:{dashboard}"], stdout=subprocess.DEVNULL, cwd=folder)
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
         f"--web.listen-address=127.0.0.1:{web}", "--log.level=error"], cwd=folder)
    try:
        page = wait("the demo", lambda: get(f"http://127.0.0.1:{metrics}/metrics"), 20)
        subprocess.run(["promtool", "check", "metrics"], input=page, text=True, check=True)
        base = f"http://127.0.0.1:{web}"
        counted = 'min(count_over_time(up{job="dpmp"}[1m])) > 20 and on () sum(dpmp_shares_accepted_total) > 10'
        wait("twenty scrapes", lambda: query(base, counted)[0], 90)
        bad, done = [], 0
        for where, expr, may_be_empty in expressions():
            result, error = query(base, filled(expr))
            done += 1
            if result is None:
                bad.append(f"{where}: {error}\n    {expr}")
            elif not result and not may_be_empty:
                bad.append(f"{where}: empty\n    {expr}")
        loaded = json.loads(get(f"{base}/api/v1/rules"))["data"]["groups"][0]["rules"]
        bad += [f"{rule['name']}: {rule['lastError']}" for rule in loaded if rule["health"] != "ok"]
        if bad:
            sys.exit("\n".join(bad))
        print(f"good: {done} queries of the dashboards on the demo, {len(loaded)} rules and their tests")
    finally:
        for process in (demo, prometheus):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


main()
