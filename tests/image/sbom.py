"""The SBOM: valid CycloneDX, and it lists the crates of the binary, with the versions in Cargo.lock."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from jsonschema.validators import validator_for
from referencing import Registry, Resource

from report import expect

ROOT = Path(__file__).resolve().parents[2]


def check(file: Path, schemas: Path) -> None:
    bom: dict[str, Any] = json.loads(file.read_text())
    # The schemas name each other by these addresses; nothing is fetched.
    named = {path.name.replace(".SNAPSHOT", ""): json.loads(path.read_text()) for path in schemas.glob("*.schema.json")}
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in named.values()
    )
    schema = named[f"bom-{bom['specVersion']}.schema.json"]
    faults = [error.message for error in validator_for(schema)(schema, registry=registry).iter_errors(bom)]
    expect(not faults, f"it is valid CycloneDX {bom['specVersion']}", faults[:5])

    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    about = bom["metadata"]["component"]
    expect((about["name"], about["version"]) == ("byokd", package["version"]), "it is about this byokd", about)

    about_rustc = subprocess.run(["rustc", "-vV"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    (host,) = re.findall(r"^host: (.+)$", about_rustc, re.MULTILINE)
    command = ["cargo", "tree", "--locked", "--target", host, "--prefix", "none"]
    command += ["--edges", "normal", "--format", "{p}"]
    tree = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout
    words = [line.split() for line in tree.splitlines()]
    linked = {(name, version.removeprefix("v")) for name, version, *_ in words if name != "byokd"}
    listed = {(each["name"], each["version"]) for each in bom["components"]}
    expect(len(linked) > 100 and linked <= listed, f"all of {len(linked)} linked crates are in it", sorted(linked - listed))
    nameless = [each["name"] for each in bom["components"] if not each.get("purl") or not each.get("licenses")]
    expect(not nameless, f"each of {len(listed)} components has its package URL and licence", nameless)
