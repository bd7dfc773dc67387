"""The end-to-end walk: byokd as it was built, a provider that is not ours, and the clients that customers have.

    run.py --binary target/debug/byokd --rust-example target/debug/examples/resolve_and_call

Started by tests/run, which installs the tools and names them in the environment. Everything listens on loopback, on
ports that were free; everything that is started here is ended here; the folder with its data goes away at the end.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import keys
from catalog import catalog
from command_line import command_line, examples, no_key_left, printed_commands
from command_line_json import same_json_as_grpcurl
from demo import demo
from grpcio_client import Grpcio, compile_contract
from grpcurl import Grpcurl
from report import expect, heading
from servers import Byokd, Providers
from walk import Tokens, Walk

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=os.environ.get("BYOKD_BIN"), help="byokd; default $BYOKD_BIN")
    parser.add_argument("--rust-example", type=Path, required=True, help="the built example resolve_and_call")
    arguments = parser.parse_args()
    if arguments.binary is None:
        parser.error("--binary or BYOKD_BIN is needed")
    plain_environment()
    # A run that is stopped by a signal ends its processes, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="byokd-e2e-") as temporary:
        failures = everything(arguments.binary.resolve(), arguments.rust_example.resolve(), Path(temporary))
    print(f"\nend to end: {'FAILED' if failures else 'passed'} in {time.monotonic() - started:.1f} s")
    for failure in failures:
        print(f"  FAILED: {failure}")
    return 1 if failures else 0


def everything(binary: Path, rust_example: Path, folder: Path) -> list[str]:
    """Runs every part, also after one has failed, and returns the names of those that failed."""
    failures: list[str] = []
    byokds: list[Byokd] = []

    def part(name: str, run: Callable[[], object]) -> None:
        heading(name)
        try:
            run()
        except Exception as error:
            traceback.print_exc(file=sys.stdout)
            failures.append(f"{name}: {error}")

    grpcurl = os.environ["BYOKD_TEST_GRPCURL"]
    compile_contract(ROOT / "proto", folder / "stubs")
    # Apart from the fixtures and the providers' files, so that the files of byokd can be searched as a whole.
    home = folder / "byokd"
    home.mkdir()
    with ExitStack() as stack:
        providers = Providers(
            os.environ["BYOKD_TEST_NODE"],
            os.environ["BYOKD_TEST_AIMOCK"],
            folder,
            keys.OPENAI_ACCEPTED,
            keys.ANTHROPIC_ACCEPTED,
        )
        stack.callback(providers.stop)
        catalog_file = folder / "catalog.toml"
        catalog_file.write_text(catalog(providers.openai, providers.anthropic))

        def start(name: str) -> Byokd:
            byokd = Byokd(binary, name, home, catalog_file)
            stack.callback(byokd.process.stop)  # a second stop does nothing
            byokds.append(byokd)
            return byokd

        byokd = start("byokd")

        def through_grpcurl() -> None:
            client = Grpcurl(grpcurl, byokd.address)
            services = client.services()
            wanted = {"byok.v1.KeyService", "byok.v1.PlatformService", "grpc.health.v1.Health"}
            expect(wanted <= set(services), "reflection lists the services, without a token", services)
            Walk(client, tokens(byokd, "walk-grpcurl"), "walk-grpcurl").run()

        def through_grpcio() -> None:
            with closing(Grpcio(byokd.address)) as client:
                Walk(client, tokens(byokd, "walk-grpcio"), "walk-grpcio").run()

        part("grpcurl", through_grpcurl)
        part("grpcio", through_grpcio)
        part("command line", lambda: command_line(byokd))
        part("JSON", lambda: same_json_as_grpcurl(byokd, Grpcurl(grpcurl, byokd.address)))
        part("examples", lambda: examples(byokd, ROOT, rust_example))
        part("the demo, with the vendors' SDKs", lambda: demo(binary, folder / "demo"))
        part("the commands that serve prints", lambda: printed_commands(start("fresh"), grpcurl))
        for each in list(byokds):
            part(f"stop {each.process.name}", each.stop)
        part("secrets", lambda: no_key_left(home))
        if failures:
            for each in byokds:
                heading(f"the end of what {each.process.name} said")
                print(each.process.output()[-6000:])
    return failures


def tokens(byokd: Byokd, workspace: str) -> Tokens:
    return Tokens(
        admin=byokd.token("admin", workspace),
        resolver=byokd.token("resolver", workspace),
        viewer=byokd.token("viewer", workspace),
        operator=byokd.token("operator", "*"),
    )


def plain_environment() -> None:
    """A developer's environment must not change the behavior of the SDKs, grpcurl or byokd."""
    for name in list(os.environ):
        upper = name.upper()
        if upper.startswith(("OPENAI_", "ANTHROPIC_", "AIMOCK_", "BYOKD__")) or upper.endswith("_PROXY"):
            del os.environ[name]


if __name__ == "__main__":
    sys.exit(main())
