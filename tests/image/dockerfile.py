"""The Dockerfile as text: hadolint's rules, and the requirements of operators."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

from report import expect

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("title", "description", "version", "revision", "source", "licenses")


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, in order, continued lines joined and comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(name, re.sub(r"\s+", " ", arguments.strip())) for name, arguments in found]


def final_stage() -> list[tuple[str, str]]:
    every = instructions()
    return every[max(at for at, (name, _) in enumerate(every) if name == "FROM") :]


def only(name: str) -> str:
    """The one instruction of this name in the stage that ships."""
    (found,) = (arguments for each, arguments in final_stage() if each == name)
    return found


def healthcheck() -> list[str]:
    command: list[str] = json.loads(only("HEALTHCHECK").split(" CMD ", 1)[1])
    return command


def lint(hadolint: str) -> None:
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60)
    expect(done.returncode == 0, "hadolint has nothing to say", done.stdout + done.stderr)


def check() -> None:
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    every = instructions()
    defaults = dict(arguments.split("=", 1) for name, arguments in every if name == "ARG")
    images = [arguments.split(" ")[0].strip("${}") for name, arguments in every if name == "FROM"]
    tags = [defaults[image].split(":", 1)[1] for image in images]
    expect(all(tag and "latest" not in tag for tag in tags), "each base has a tag that says what it is", tags)
    rust = tags[0].split("-")[0]
    minimum = package["rust-version"]
    expect(rust.startswith(f"{minimum}."), "the builder is the Rust that Cargo.toml asks for", (rust, minimum))

    labels = only("LABEL")
    missing = [label for label in LABELS if f"org.opencontainers.image.{label}=" not in labels]
    expect(not missing, "the OCI labels are there", missing)
    expect(f'licenses="{package["license"]}"' in labels, "the licence is Cargo.toml's", labels)
    version = defaults["VERSION"]
    expect(version == package["version"], "the version is Cargo.toml's", (version, package["version"]))

    user = only("USER")
    expect(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) is not None, "the user is a number, and not root's", user)
    entry = json.loads(only("ENTRYPOINT"))
    expect(healthcheck() == [*entry, "healthcheck"], "HEALTHCHECK asks the program itself", healthcheck())
    expect(json.loads(only("CMD")) == ["serve"], "it serves by default")
    names = [name for name, _ in final_stage()]
    expect("RUN" not in names, "nothing runs in the stage that ships: it has no shell", names)
    tools = (ROOT / "tests/tools.sh").read_text()
    pinned = re.search(r"^CARGO_CYCLONEDX_VERSION=(.+)$", tools, re.MULTILINE)
    installed = [arguments for name, arguments in every if name == "RUN" and "cargo-cyclonedx@" in arguments]
    expect(
        pinned is not None and f"cargo-cyclonedx@{pinned[1]} " in installed[0],
        "the tests' SBOM is the image's",
        installed,
    )
    builds = [arguments for name, arguments in every if name == "RUN" and "build.sh" in arguments]
    order = [step for arguments in builds for step in re.findall(r"build\.sh (\w+)", arguments)]
    expect('BYOKD_REVISION="${REVISION}"' in builds[-1], "the binary gets its revision", builds[-1])
    expect(order == ["dependencies", "binary", "rootfs"], "the steps are those of build.sh, dependencies first", order)
