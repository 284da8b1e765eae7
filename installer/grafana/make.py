#!/usr/bin/env python3
"""Writes overview.json and worker.json, to be imported into Grafana. With --check: says whether they are as this would write them."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ONE = 'instance=~"$instance"'
POOL = 'instance=~"$instance",pool=~"$pool"'
WORKER = 'instance=~"$instance",worker=~"$worker"'
RATE = "$__rate_interval"


class Board:
    def __init__(self, uid, title, description, variables, annotations):
        self.panels, self.x, self.y, self.tall = [], 0, 0, 0
        self.board = {
            "uid": uid,
            "title": title,
            "description": description,
            "tags": ["dpmp"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "browser",
            "graphTooltip": 1,
            "links": [
                {"type": "dashboards", "title": "dpmp", "tags": ["dpmp"], "asDropdown": False, "includeVars": True,
                 "keepTime": True}
            ],
            "templating": {"list": variables},
            "annotations": {"list": annotations},
            "panels": self.panels,
        }

    def row(self, title):
        self.y += self.tall
        self.x = self.tall = 0
        self.panels.append({"id": len(self.panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                            "gridPos": {"h": 1, "w": 24, "x": 0, "y": self.y}})
        self.y += 1

    def panel(self, kind, title, description, unit, queries, width=8, height=8, **more):
        if self.x + width > 24:
            self.y += self.tall
            self.x = self.tall = 0
        defaults = {"unit": unit, **more.pop("defaults", {})}
        if kind == "timeseries":
            custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
            custom.update(more.pop("custom", {}))
            defaults["custom"] = custom
        options = {
            "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
            "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"},
            "table": {"showHeader": True},
        }[kind]
        self.panels.append({
            "id": len(self.panels) + 1,
            "type": kind,
            "title": title,
            "description": description,
            "datasource": SOURCE,
            "gridPos": {"h": height, "w": width, "x": self.x, "y": self.y},
            "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
            "options": options,
            "targets": [
                {"refId": chr(65 + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
                 **({"instant": True, "format": "table"} if kind == "table" else {})}
                for n, (expr, legend) in enumerate(queries)
            ],
            **more,
        })
        self.x += width
        self.tall = max(self.tall, height)


def variable(name, label, query, multi=True):
    return {
        "type": "query", "name": name, "label": label, "datasource": SOURCE, "refresh": 2, "sort": 1,
        "query": {"query": query, "refId": name}, "definition": query,
        "multi": multi, "includeAll": True, "current": {"text": "All", "value": "$__all"},
    }


DATASOURCE = {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "hide": 0}
INSTANCE = variable("instance", "dpmp", "label_values(dpmp_build_info, instance)")
POOLS = variable("pool", "Pool", f"label_values(dpmp_pool_target_ratio{{{ONE}}}, pool)")
WORKERS = variable("worker", "Worker", f"label_values(dpmp_worker_hashrate{{{ONE}}}, worker)")


def annotation(name, colour, expr, title):
    return {"name": name, "datasource": SOURCE, "enable": True, "iconColor": colour, "expr": expr, "step": "30s",
            "titleFormat": title, "useValueForTime": False}


ANNOTATIONS = [
    annotation("weights", "blue", f"changes(dpmp_pool_target_ratio{{{POOL}}}[{RATE}]) > 0",
               "The weight of pool {{pool}} changed"),
    annotation("auto-balance on or off", "purple", f"changes(dpmp_oracle_active{{{ONE}}}[{RATE}]) > 0",
               "Auto-balance was switched on or off"),
    annotation("ratio or fleet", "yellow", f"changes(dpmp_scheduler_fleet{{{ONE}}}[{RATE}]) > 0",
               "scheduler.mode went from ratio to fleet, or back"),
    annotation("switches by failover", "orange",
               f'increase(dpmp_pool_switches_total{{{ONE},reason="failover"}}[{RATE}]) > 0', "Miners went to another pool"),
    annotation("outages", "red", f"increase(dpmp_pool_downs_total{{{POOL}}}[{RATE}]) > 0", "Pool {{pool}} was lost"),
    annotation("blocks", "green", f"increase(dpmp_block_candidates_total{{{POOL}}}[{RATE}]) > 0",
               "A share for pool {{pool}} may be a block"),
]


def overview():
    b = Board("dpmp-overview", "dpmp: overview", "Miners, pools and the split between them.",
              [DATASOURCE, INSTANCE, POOLS], ANNOTATIONS)
    b.panel("stat", "Hash rate, 5 min", "Work of all miners, from accepted and credited shares of the last five minutes.",
            "H/s", [(f'sum(dpmp_hashrate{{{ONE},window="5m"}})', "")], width=4, height=4)
    b.panel("stat", "Miners", "Miners that have logged in and are connected now.", "short",
            [(f"sum(dpmp_miners_ready{{{ONE}}})", "")], width=4, height=4)
    b.panel("stat", "Miners without work", "Should be 0: miners that no pool has work for.", "short",
            [(f"sum(dpmp_miners_idle{{{ONE}}})", "")], width=4, height=4,
            defaults={"thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None},
                                                                      {"color": "red", "value": 1}]}})
    b.panel("stat", "Refused, 1 h", "Shares that a pool refused, of those that it answered. Well below one percent is right.",
            "percentunit",
            [(f"sum(increase(dpmp_shares_rejected_total{{{POOL}}}[1h])) / (sum(increase(dpmp_shares_rejected_total{{{POOL}}}"
              f"[1h])) + sum(increase(dpmp_shares_accepted_total{{{POOL}}}[1h])))", "")], width=4, height=4)
    b.panel("stat", "Best share", "The true difficulty of the best share of all time.", "short",
            [(f'max(dpmp_best_share_difficulty{{{ONE},scope="all_time"}})', "")], width=4, height=4)
    b.panel("stat", "Running for", "Time since dpmp was started.", "s",
            [(f'time() - max(process_start_time_seconds{{{ONE},job="dpmp"}})', "")], width=4, height=4)

    b.row("Work")
    b.panel("timeseries", "Hash rate by pool", "Work that each pool got in five minutes, as hashes a second.", "H/s",
            [(f'sum by (pool) (dpmp_pool_hashrate{{{POOL},window="5m"}})', "pool {{pool}}")], width=12,
            custom={"stacking": {"mode": "normal"}, "fillOpacity": 30})
    b.panel("timeseries", "Split and target", "Each pool's share of the work of an hour, and what it is to be.", "percentunit",
            [(f'avg by (pool) (dpmp_split_ratio{{{POOL},window="1h"}})', "pool {{pool}}"),
             (f"avg by (pool) (dpmp_pool_target_ratio{{{POOL}}})", "target {{pool}}")], width=12,
            defaults={"min": 0, "max": 1})
    b.panel("timeseries", "Error of the split",
            "How far the split of five minutes is from its target; low and high are what luck alone may do.", "percentunit",
            [(f'avg by (pool) (dpmp_split_error_ratio{{{POOL},window="5m"}})', "pool {{pool}}"),
             (f'avg by (pool) (dpmp_split_error_low_ratio{{{POOL},window="5m"}})', "low {{pool}}"),
             (f'avg by (pool) (dpmp_split_error_high_ratio{{{POOL},window="5m"}})', "high {{pool}}")])
    b.panel("timeseries", "Changes of pool", "Times a second that a miner's work went to another pool, by reason.", "ops",
            [(f"sum by (reason) (rate(dpmp_pool_switches_total{{{ONE}}}[{RATE}]))", "{{reason}}")])
    b.panel("timeseries", "Miners over time", "Connections, miners that have logged in, and those without work.", "short",
            [(f"sum(dpmp_downstream_connections{{{ONE}}})", "connected"),
             (f"sum(dpmp_miners_ready{{{ONE}}})", "at work"), (f"sum(dpmp_miners_idle{{{ONE}}})", "without work")])

    b.row("Auto-balance")
    b.panel("timeseries", "Network, short over long",
            "Each chain's hash rate over 6 blocks, divided by that over 72: above 1, more than usual. 0: not known yet.", "none",
            [(f"max by (chain) (dpmp_oracle_ratio{{{ONE}}})", "{{chain}}")])
    b.panel("timeseries", "Weights of auto-balance",
            "What it has moved to, or would have if it were on. 0: it has none yet.", "percent",
            [(f"avg by (pool) (dpmp_oracle_weight{{{POOL}}})", "pool {{pool}}"),
             (f"100 * max(dpmp_oracle_active{{{ONE}}})", "100: it is on")], defaults={"min": 0, "max": 100})
    b.panel("timeseries", "Numbers of auto-balance", "1 for where it stands: ready, warming up, failing, without fresh numbers, or off.",
            "none", [(f"max by (state) (dpmp_oracle_state{{{ONE}}})", "{{state}}")], defaults={"min": 0, "max": 1})

    b.row("Shares")
    b.panel("timeseries", "Shares by outcome", "What became of each share. credited: good for the miner's own difficulty.",
            "ops", [(f"sum by (result) (rate(dpmp_share_results_total{{{ONE}}}[{RATE}]))", "{{result}}")], width=12)
    b.panel("timeseries", "Refused by reason", "What pools said of the shares that they refused.", "ops",
            [(f"sum by (pool, reason) (rate(dpmp_pool_rejects_total{{{POOL}}}[{RATE}]))", "pool {{pool}}: {{reason}}")])
    b.panel("stat", "Faults of dpmp", "Should be 0: shares of the last day that were lost to a fault of the proxy.", "short",
            [(f'sum(increase(dpmp_share_faults_total{{{ONE},fault="proxy"}}[1d]))', "")], width=4, height=8)

    b.row("Pools")
    b.panel("timeseries", "Time to answer", "From a share's way to the pool to its answer: half of them, and 95 %.", "s",
            [(f"histogram_quantile(0.5, sum by (pool, le) (rate(dpmp_pool_response_seconds_bucket{{{POOL}}}[{RATE}])))",
              "pool {{pool}}: half"),
             (f"histogram_quantile(0.95, sum by (pool, le) (rate(dpmp_pool_response_seconds_bucket{{{POOL}}}[{RATE}])))",
              "pool {{pool}}: 95 %")])
    b.panel("timeseries", "Connections to pools", "One a miner. None: the pool is down, or has no weight.", "short",
            [(f"sum by (pool) (dpmp_upstream_connections{{{POOL}}})", "pool {{pool}}")])
    b.panel("timeseries", "Connections lost", "Connections to the pool that were lost or could not be made, a second.", "ops",
            [(f"sum by (pool) (rate(dpmp_pool_downs_total{{{POOL}}}[{RATE}]))", "pool {{pool}} lost"),
             (f"sum by (pool) (rate(dpmp_pool_connect_failures_total{{{POOL}}}[{RATE}]))", "pool {{pool}} not made")])
    b.panel("timeseries", "Difficulty of pools", "What each pool last set on any connection.", "short",
            [(f"max by (pool) (dpmp_pool_difficulty{{{POOL}}})", "pool {{pool}}")])
    b.panel("timeseries", "Jobs from pools", "Jobs a second, over all connections to the pool.", "ops",
            [(f"sum by (pool) (rate(dpmp_pool_jobs_total{{{POOL}}}[{RATE}]))", "pool {{pool}}")])
    b.panel("timeseries", "Response of dpmp itself", "Time that a share spends inside dpmp: half of them, and 99 %.", "s",
            [(f"histogram_quantile(0.5, sum by (le) (rate(dpmp_share_processing_seconds_bucket{{{ONE}}}[{RATE}])))", "half"),
             (f"histogram_quantile(0.99, sum by (le) (rate(dpmp_share_processing_seconds_bucket{{{ONE}}}[{RATE}])))", "99 %")])

    b.row("The program")
    b.panel("timeseries", "Processor", "Seconds of processor time a second: 1 is one core.", "percentunit",
            [(f'sum(rate(process_cpu_seconds_total{{{ONE},job="dpmp"}}[{RATE}]))', "dpmp")], width=6)
    b.panel("timeseries", "Memory", "Memory in use.", "bytes",
            [(f'sum(process_resident_memory_bytes{{{ONE},job="dpmp"}})', "resident")], width=6)
    b.panel("timeseries", "Config and log",
            "Reloads of the config by outcome, and log lines that were suppressed or lost, a second.", "ops",
            [(f"sum by (result) (rate(dpmp_config_reloads_total{{{ONE}}}[{RATE}]))", "config {{result}}"),
             (f"sum(rate(dpmp_log_lines_suppressed_total{{{ONE}}}[{RATE}]))", "lines suppressed"),
             (f"sum(rate(dpmp_log_lines_dropped_total{{{ONE}}}[{RATE}]))", "lines lost")], width=6)
    b.panel("timeseries", "Recording", "Bytes in the recording's folder.", "bytes",
            [(f"sum(dpmp_recording_size_bytes{{{ONE}}})", "on the disk")], width=6)
    return b.board


def worker():
    b = Board("dpmp-worker", "dpmp: worker",
              "One worker, or several side by side. Needs \"metrics\": {\"per_worker\": true} in the config.",
              [DATASOURCE, INSTANCE, WORKERS, {**POOLS, "hide": 2}], ANNOTATIONS)
    b.panel("stat", "Hash rate, 5 min", "From the worker's shares of the last five minutes.", "H/s",
            [(f'dpmp_worker_hashrate{{{WORKER},window="5m"}}', "{{worker}}")], width=6, height=5)
    b.panel("stat", "Hash rate, 24 h", "From the worker's shares of the last day; empty until there is enough.", "H/s",
            [(f'dpmp_worker_hashrate{{{WORKER},window="24h"}}', "{{worker}}")], width=6, height=5)
    b.panel("stat", "Last share", "Time since the worker's last share.", "s",
            [(f"time() - dpmp_worker_last_share_timestamp_seconds{{{WORKER}}}", "{{worker}}")], width=6, height=5)
    b.panel("stat", "Best share", "True difficulty of the worker's best share of all time.", "short",
            [(f"dpmp_worker_best_share_difficulty{{{WORKER}}}", "{{worker}}")], width=6, height=5)
    b.panel("timeseries", "Hash rate", "Over five minutes and over an hour.", "H/s",
            [(f'dpmp_worker_hashrate{{{WORKER},window="5m"}}', "{{worker}}, 5 min"),
             (f'dpmp_worker_hashrate{{{WORKER},window="1h"}}', "{{worker}}, 1 h")], width=24, height=9)
    b.panel("timeseries", "Shares a minute", "By what became of them.", "short",
            [(f"60 * deriv(dpmp_worker_shares{{{WORKER}}}[5m])", "{{worker}}: {{result}}")], width=12)
    b.panel("timeseries", "Refused", "Shares of the worker that were refused, of all of its shares.", "percentunit",
            [(f'dpmp_worker_shares{{{WORKER},result="rejected"}} / ignoring (result) '
              f"sum without (result) (dpmp_worker_shares{{{WORKER}}})", "{{worker}}")], width=12)
    b.panel("timeseries", "Share of the whole", "This worker's part of all work.", "percentunit",
            [(f'dpmp_worker_hashrate{{{WORKER},window="5m"}} / on (instance) group_left () '
              f'dpmp_hashrate{{{ONE},window="5m"}}', "{{worker}}")], width=12)
    b.panel("table", "All workers", "What is known of each.", "short",
            [(f"sum by (worker, result) (dpmp_worker_shares{{{WORKER}}})", "")], width=12)
    return b.board


def main():
    stale = []
    for name, board in (("overview.json", overview()), ("worker.json", worker())):
        text = json.dumps(board, indent=2) + "\n"
        path = HERE / name
        if "--check" in sys.argv:
            stale += [name] if path.read_text() != text else []
        else:
            path.write_text(text)
    if stale:
        sys.exit(f"{stale}: not as make.py writes them; run it")


main()
