"""byokd under load, through the faults that its metrics show: the KMS, the database, a provider, its callers."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import uuid
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from client import Refused
from fronts import DatabaseFront, KmsFront, Provider
from grpcio_client import Grpcio, compile_contract
from pages import ROOT
from prometheus import Page, free_port
from report import Failed, passed, wait_until
from servers import Process

REGION = "eu-central-1"
CATALOG = """\
version = "watch-1"
default_model = "gpt-4o-mini"
[providers.openai]
protocol = "openai"
hosts = ["{provider}/v1"]
default_model = "gpt-4o-mini"
[providers.other]
protocol = "openai"
hosts = ["{provider}/other"]
[providers.local]
protocol = "local"
hosts = ["http://localhost:11434/v1"]
[models."gpt-4o-mini"]
provider = "openai"
ids = [{{ id = "gpt-4o-mini-2024-07-18", aliases = ["gpt-4o-mini"] }}]
credits = {{ unit = "credits", micros_per_call = 1000000 }}
[models."local-llama"]
provider = "local"
ids = [{{ id = "llama3.3" }}]
"""


class Site:
    """A database and a KMS key, behind fronts that can fail, and a provider."""

    WORKSPACES = ("watch-credits", "watch-byo", "watch-failing")
    PLATFORM, GOOD, DOOMED, BAD = KEYS = tuple(
        f"sk-proj-SYNTHETIC-watch-000000000000000000000-{end}" for end in ("plat", "good", "doom", "badd")
    )

    def __init__(self, binary: Path, folder: Path, stack: ExitStack) -> None:
        self.binary, self.folder, self.stack = binary, folder, stack
        self.provider = Provider([self.PLATFORM, self.GOOD, self.DOOMED])
        stack.callback(self.provider.stop)
        self.kms = KmsFront(os.environ["BYOKD_TEST_MOTO"])
        stack.callback(self.kms.stop)
        url = urlsplit(os.environ["BYOKD_TEST_POSTGRES"])
        assert url.hostname and url.port
        self.database = DatabaseFront(url.hostname, url.port)
        stack.callback(self.database.stop)
        name = f"watch_{uuid.uuid4().hex}"
        psql = [os.environ["BYOKD_TEST_POSTGRES_BIN"] + "/psql", "-X", "-q", f"{url.geturl()}/byokd"]
        subprocess.run([*psql, "-c", f"CREATE DATABASE {name}"], check=True, timeout=60)
        through = url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{self.database.port}")
        kms = boto3.client("kms", endpoint_url=os.environ["BYOKD_TEST_MOTO"], region_name=REGION)
        (folder / "catalog.toml").write_text(CATALOG.format(provider=self.provider.url))
        (folder / "audit.key").write_text("ab" * 32)
        (folder / "audit.key").chmod(0o600)
        # JSON strings are TOML strings.
        self._config = "\n".join(
            f"{setting} = {json.dumps(value)}"
            for setting, value in {
                "catalog.file": str(folder / "catalog.toml"),
                "egress.loopback_http": True,
                "database.url": f"{through.geturl()}/{name}?sslmode=require",
                "kms.key": kms.create_key()["KeyMetadata"]["Arn"],
                "kms.region": REGION,
                "kms.endpoint_url": self.kms.url,
                "audit.key_file": str(folder / "audit.key"),
                "checks.per_workspace_per_minute": 5,
                "server.shutdown_delay_ms": 0,
            }.items()
        )

    def reserve(self) -> str:
        return f"127.0.0.1:{free_port()}"

    def replica(self, name: str, admin: str = "") -> Replica:
        config = self.folder / f"{name}.toml"
        config.write_text(self._config)
        return Replica(self, name, config, admin or self.reserve())


class Replica:
    """One byokd, with a data folder and a signer of its own."""

    def __init__(self, site: Site, name: str, config: Path, admin: str) -> None:
        self.admin, self._site, self._data = admin, site, site.folder / f"{name}-data"
        command = [str(site.binary), "serve", "--config", str(config), "--data-dir", str(self._data)]
        self.process = Process(name, [*command, "--listen", "127.0.0.1:0", "--admin-listen", admin], site.folder)
        site.stack.callback(self.process.stop)
        wait_until(lambda: self.process.alive() and (self._data / "server").exists(), 60, f"{name} to listen")
        self.address = (self._data / "server").read_text().strip().removeprefix("http://")

    def token(self, role: str, *more: str) -> str:
        command = [str(self._site.binary), "token", "--data-dir", str(self._data), "--role", role, "--workspace", "*"]
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, cwd=self._site.folder)
        if done.returncode != 0:
            raise Failed(f"byokd token: {done.stderr}")
        return done.stdout.strip()

    def until_counted(self, what: str, name: str, seconds: float = 60, **labels: str) -> None:
        """Waits for a metric with these labels to be more than nothing."""
        wait_until(lambda: self.process.alive() and Page(self.admin).total(name, **labels) > 0, seconds, what)
        passed(what)


class Drive:
    """Calls the first replica, and makes its dependencies fail."""

    def __init__(self, site: Site, replica: Replica) -> None:
        self.site, self.replica = site, replica
        compile_contract(ROOT / "proto", site.folder / "stubs")
        self.client = Grpcio(replica.address)
        self._stop, self._load = threading.Event(), threading.Thread(target=self._call_on, daemon=True)

    def stop(self) -> None:
        self._stop.set()
        if self._load.is_alive():
            self._load.join(timeout=60)
        self.client.close()

    def kms_faults(self) -> None:
        """One kind of fault after the other, while the data keys are made; then none."""
        for fault in KmsFront.FAULTS:
            self.site.kms.fault = fault
            count = "byokd_kms_call_duration_seconds_count"
            self.replica.until_counted(f"a call to the KMS ends in {fault}", count, outcome=fault)
        self.site.kms.fault = ""
        self.replica.until_counted("it is ready once the KMS is well", "byokd_ready", 120)

    def keys(self) -> None:
        """The platform's key, a good one, one that its provider refuses later, and one that it refuses at once."""
        credits, byo, failing = Site.WORKSPACES
        self.admin, self.resolver = self.replica.token("admin"), self.replica.token("resolver")
        operator = self.replica.token("operator")
        unserved: dict[str, object] = {"workspaceId": credits, "model": "gpt-4o-mini"}
        reason = self.answered("KeyService/ResolveCredentials", unserved, self.resolver)
        assert reason == "PLATFORM_KEY_MISSING", reason
        platform = {"provider": "openai", "apiKey": Site.PLATFORM}
        self.client.call("PlatformService/SetPlatformKey", platform, operator)
        for workspace, key in ((byo, Site.GOOD), (failing, Site.DOOMED)):
            request = {"workspaceId": workspace, "provider": "openai", "apiKey": key, "enableByo": True}
            self.client.call("KeyService/SetKey", request, self.admin)
        self.site.provider.accepted.discard(Site.DOOMED)
        verified = self.client.call("KeyService/VerifyKey", {"workspaceId": failing, "provider": "openai"}, self.admin)
        assert "FAILING" in json.dumps(verified), verified
        self.refused("KeyService/SetKey", {"workspaceId": credits, "provider": "openai", "apiKey": Site.BAD})

    def load(self) -> None:
        self._load.start()
        for mode in ("credits", "byo", "unmetered"):
            self.replica.until_counted(f"resolves on {mode}", "byokd_resolutions_total", billing_mode=mode)

    def _call_on(self) -> None:
        """Resolves and reads until it is stopped, whatever the outcome."""
        credits, byo, failing = Site.WORKSPACES
        asked = [(credits, "gpt-4o-mini"), (byo, "gpt-4o-mini"), (byo, "local-llama"), (failing, "no-such-model")]
        while not self._stop.wait(0.02):
            for workspace, model in asked:
                request = {"workspaceId": workspace, "model": model}
                self.answered("KeyService/ResolveCredentials", request, self.resolver)
            # A provider without a key, and a workspace that no replica has in memory.
            for workspace in (byo, f"watch-{uuid.uuid4().hex}"):
                request = {"workspaceId": workspace, "provider": "other", "model": "any"}
                self.answered("KeyService/ResolveCredentials", request, self.resolver)
            self.answered("KeyService/GetWorkspace", {"workspaceId": byo}, self.admin)
            self.answered("KeyService/GetWorkspace", {"workspaceId": byo}, "")

    def answered(self, method: str, request: dict[str, object], token: str) -> str:
        """Makes a call and returns the reason, if it is refused."""
        try:
            self.client.call(method, request, token)
        except Refused as refusal:
            return refusal.reason
        return ""

    def refused(self, method: str, request: dict[str, object]) -> None:
        if not self.answered(method, request, self.admin):
            raise Failed(f"{method} was to be refused: {request['workspaceId']}")

    def refusals(self) -> None:
        """More test calls than a workspace is allowed."""
        request: dict[str, object] = {"workspaceId": Site.WORKSPACES[1], "provider": "openai"}
        reasons = {self.answered("KeyService/VerifyKey", request, self.admin) for _ in range(10)}
        if "RATE_LIMITED" not in reasons:
            raise Failed(f"ten test calls were not too many: {reasons}")

    def database_fault(self) -> None:
        """A database that is away until it shows, and then back."""
        self.site.database.cut()
        self.replica.until_counted("answers without the database", "byokd_resolutions_degraded_total")
        self.replica.until_counted("lookups that fail", "byokd_directory_lookups_total", result="failed")
        self.site.database.restore()
        wait_until(self._database_answers, 60, "the database to be asked again")
        passed("the database answers again")

    def _database_answers(self) -> bool:
        return Page(self.replica.admin).total("byokd_directory_freshness_lag_seconds") < 1

    def provider_fault(self) -> None:
        """A provider that is down while a key of a workspace that still may is tested."""
        self.site.provider.down = True
        self.refused("KeyService/SetKey", {"workspaceId": "watch-new", "provider": "openai", "apiKey": Site.GOOD})
        count = "byokd_provider_check_duration_seconds_count"
        self.replica.until_counted("a test call finds the provider down", count, verdict="provider_down")
        self.site.provider.down = False
