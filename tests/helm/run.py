"""Checks the chart in helm/byokd with a real helm and the real byokd.

BYOKD_TEST_HELM, _HELM_DOCS, _CRDS, _GRPCURL and _BINARY say where the tools are: tests/run sets them.
"""

import argparse
import subprocess
import sys
import unittest
from os import environ

import chart
import written

MODULES = ["manifests", "refusals", "objects", "written", "running"]


def main():
    parser = argparse.ArgumentParser(description="Checks the chart in helm/byokd.")
    parser.add_argument("--update", action="store_true", help="update the golden files and the chart's README")
    if parser.parse_args().update:
        written.update()
        return 0
    version = subprocess.run([environ["BYOKD_TEST_HELM"], "version", "--short"], capture_output=True, text=True, check=True)
    print(f"helm {version.stdout.strip()}, chart {chart.CHART.relative_to(chart.ROOT)}")
    suite = unittest.defaultTestLoader.loadTestsFromNames(MODULES)
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
