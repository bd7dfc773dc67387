"""The image without a container engine: its Dockerfile is read, its build steps are run, and byokd runs in its files.

    run.py --binary target/debug/byokd [--build]

With --build the binary is not taken but built, by the steps and in the profile that the Dockerfile names: minutes.
Started by tests/run, which installs the tools and names them in the environment.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))
import context  # noqa: E402
import dockerfile  # noqa: E402
import root as image_root  # noqa: E402
import sbom  # noqa: E402
from report import Failed, expect, heading  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True, help="byokd, as cargo built it here")
    parser.add_argument("--build", action="store_true", help="build it as the image does")
    arguments = parser.parse_args()
    for name in list(os.environ):
        if name.startswith("BYOKD__"):
            del os.environ[name]
    tools = Path(os.environ["BYOKD_TEST_CARGO_CYCLONEDX"]).parent
    with tempfile.TemporaryDirectory(prefix="byokd-image-") as temporary:
        folder = Path(temporary)
        # The image's user must be able to read its root.
        folder.chmod(0o755)
        sources, rootfs = folder / "sources", folder / "rootfs"
        heading("Dockerfile")
        dockerfile.lint(os.environ["BYOKD_TEST_HADOLINT"])
        dockerfile.check()
        heading("context")
        context.is_enough(arguments.binary)
        context.copy_to(sources)
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "BINARY": str(arguments.binary.resolve())}
        if arguments.build:
            heading("the build steps")
            build(folder, sources, environment)
        heading("files")
        step(sources, environment, "rootfs", str(rootfs))
        sbom.check(rootfs / "usr/share/doc/byokd/byokd.cdx.json", Path(os.environ["BYOKD_TEST_CYCLONEDX_SCHEMAS"]))
        licence = (rootfs / "usr/share/doc/byokd/LICENSE").read_text()
        expect(licence == (ROOT / "LICENSE").read_text(), "the licence is in it")
        image_root.lay_base(rootfs)
        image_root.own(rootfs / "var/lib/byokd")
        heading("byokd in it")
        variables = dict([dockerfile.only("ENV").split("=", 1)])
        image_root.serve(rootfs, folder, variables, dockerfile.healthcheck())
    return 0


def step(sources: Path, environment: dict[str, str], *arguments: str) -> str:
    command = [str(sources / "helm/image/build.sh"), *arguments]
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True)
    expect(done.returncode == 0, f"build.sh {arguments[0]}", done.stderr[-4000:])
    return done.stderr


def build(folder: Path, sources: Path, environment: dict[str, str]) -> None:
    """As the Dockerfile does. The second step must not compile the dependencies again: the first one cached them."""
    del environment["BINARY"]
    environment["CARGO_TARGET_DIR"] = str(folder / "target")
    manifest = folder / "dependencies"
    (manifest / "helm/image").mkdir(parents=True)
    for name in ("Cargo.toml", "Cargo.lock", "helm/image/build.sh"):
        shutil.copy2(sources / name, manifest / name)
    first = step(manifest, environment, "dependencies").count(" Compiling ")
    expect(first > 200, f"the dependencies are compiled first: {first} crates")
    compiled = [line.split()[1] for line in step(sources, environment, "binary").splitlines() if " Compiling " in line]
    expect(compiled == ["byokd"], "then byokd alone", compiled)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"image FAILED: {failure}")
