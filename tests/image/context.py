"""The build context: the files that .dockerignore allows, and whether they are enough."""

from __future__ import annotations

import shutil
import subprocess
from os.path import normpath
from pathlib import Path

from report import expect

ROOT = Path(__file__).resolve().parents[2]


def files() -> set[Path]:
    """The patterns are plain paths: everything is excluded except the named ones. Only files in git count."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    first, *kept = patterns
    expect(first == "*" and all(each[0] == "!" and "*" not in each for each in kept), "the context is a list", patterns)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    known = {Path(line) for line in listed.stdout.splitlines()}
    return {path for path in known if any(path.is_relative_to(each[1:]) for each in kept)}


def copy_to(folder: Path) -> None:
    for path in files():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target)


def is_enough(binary: Path) -> None:
    """The sources of the newest library, as the compiler lists them beside it; and the contract, for the build script."""
    # A check, and the unit tests, read more files; they make no .rlib.
    dependencies = [(path, path.read_text()) for path in (binary.resolve().parent / "deps").glob("byokd-*.d")]
    about = [path for path, text in dependencies if "src/lib.rs:" in text and ".rlib:" in text]
    newest = max(about, key=lambda path: path.stat().st_mtime)
    # Each file has a line of its own, with a colon at the end. `include_str!` may name it through its parent folder.
    lines = [line[:-1].replace("\\ ", " ") for line in newest.read_text().splitlines() if line.endswith(":")]
    read = {Path(normpath(ROOT / line)) for line in lines}
    read |= {ROOT / "build.rs", *(ROOT / "proto").rglob("*.proto")}
    made = binary.resolve().parents[1]
    used = {path.relative_to(ROOT) for path in read if path.is_relative_to(ROOT) and not path.is_relative_to(made)}
    expect(len(used) > 100, f"{len(used)} files went into the binary", sorted(used))
    missing = used - files()
    expect(not missing, "each of them is in the context", sorted(map(str, missing)))
