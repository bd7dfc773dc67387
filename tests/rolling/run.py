"""Rolling restarts: three replicas behind one name, restarted one after another while callers never stop. No call fails.

    run.py --binary target/debug/byokd --go-load FILE [--restarts 6]

Started by tests/run with the services. The callers are Python's grpcio and Go's grpc, each with the connection and the
service config that examples/ ships. A new replica has a new address, as a pod has, which the callers learn from the DNS.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from callers import Caller, callers
from replicas import Cluster

from report import Failed, expect, heading, wait_until
from service_config import every_method_has_its_place

REPLICAS = 3
# Answers that every replica must have given to every caller before the next one is restarted.
SERVED = 10
SERVED_WITHIN = 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True, help="byokd")
    parser.add_argument("--go-load", type=Path, required=True, help="the caller in Go, built from tests/rolling/go")
    parser.add_argument("--restarts", type=int, default=6)
    arguments = parser.parse_args()
    for name in list(os.environ):
        if name.startswith("BYOKD__") or name.upper().endswith("_PROXY"):
            del os.environ[name]
    # A run that is stopped by a signal ends its processes, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    heading("service config")
    every_method_has_its_place()
    heading(f"{arguments.restarts} restarts of {REPLICAS} replicas")
    with tempfile.TemporaryDirectory(prefix="byokd-rolling-") as temporary, ExitStack() as stack:
        cluster = Cluster(arguments.binary.resolve(), Path(temporary))
        stack.callback(cluster.stop)
        for _ in range(REPLICAS):
            cluster.start()
        load = callers(cluster, arguments.go_load.resolve())
        for each in load:
            stack.callback(each.kill)
        restart(cluster, load, arguments.restarts)
        judge(cluster, load)
    return 0


def restart(cluster: Cluster, load: list[Caller], restarts: int) -> None:
    for each in load:
        each.wait_until_started()

    def spread() -> bool:
        return all(each.granted(caller.workspace) >= SERVED for each in cluster.replicas for caller in load)

    wait_until(spread, SERVED_WITHIN, "every replica to serve every caller")
    expect(True, f"every caller is served by every replica ({cluster.names.questions} questions to the DNS)")
    for number in range(restarts):
        oldest = cluster.replicas[number]
        ended = cluster.terminate(oldest)
        began = time.monotonic()
        replica = cluster.start()
        print(
            f"      {number + 1:3}  {oldest.address} ended in {ended:.1f} s, "
            f"{replica.address} was ready in {time.monotonic() - began:.1f} s",
            flush=True,
        )


def judge(cluster: Cluster, load: list[Caller]) -> None:
    counted = {each: each.end() for each in load}
    for replica in cluster.replicas[-REPLICAS:]:
        cluster.terminate(replica)
    granted = {each: sum(replica.granted(each.workspace) for replica in cluster.replicas) for each in load}
    for each, counts in counted.items():
        print(f"      {each.workspace}: {counts}, granted by the replicas: {granted[each]}")
    calls, failed = (sum(counts[what] for counts in counted.values()) for what in ("calls", "failed"))
    expect(failed == 0, f"none of {calls} calls failed", [failed, *(counts["failures"] for counts in counted.values())])
    # A call whose answer was lost is retried, and so granted twice.
    missing = [each.workspace for each, counts in counted.items() if granted[each] < counts["calls"] - counts.get("changes", 0)]
    expect(not missing, "each answer came from a replica that has it on record", missing)
    served = sum(all(r.granted(each.workspace) for each in load) for r in cluster.replicas)
    expect(
        served > REPLICAS,
        f"{served} of {len(cluster.replicas)} replicas served every caller, also such as came later",
        served,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"rolling restarts FAILED: {failure}")
