"""The canary test on builds that lack one redaction each: it must fail on each of them, at the expected place.

A copy of the sources is changed in three places, each switched on by BYOKD_MUTANT when it runs, so that one build of
byokd's own crate is enough and nothing of this stands in the sources that ship. The dependencies are those that are
built already. A place that is not found any more fails the run: then the mutant needs a new one.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST = "canary::a_planted_key_leaves_in_one_place_only"


def when(mutant: str) -> str:
    return f'std::env::var("BYOKD_MUTANT").is_ok_and(|name| name == "{mutant}")'


# Name, file, the text there, its replacement, and the expected way by which the key leaks.
MUTANTS = [
    (
        "provider's text in the log",
        "src/provider/client.rs",
        "if status.is_success() {\n            return Ok(body);",
        f"if {when('provider')} {{ tracing::debug!(body = %String::from_utf8_lossy(&body), \"answer\"); }}\n"
        "if status.is_success() {\n            return Ok(body);",
        "in log ",
        "provider",
    ),
    (
        "the key in a status",
        "src/domain/secret.rs",
        "let key = raw.trim();\n        match fault(key) {",
        "let key = raw.trim();\n"
        f"if {when('status')} && fault(key).is_some() {{ return Err(KeyFault::Repeated(key.to_owned().leak())); }}\n"
        "match fault(key) {",
        ": message",
        "status",
    ),
    (
        "the whole key for the masked one",
        "src/domain/secret.rs",
        "let key = self.expose();\n        let tail = match key.len() {",
        f"let key = self.expose();\nif {when('masked')} {{ return key.to_owned(); }}\nlet tail = match key.len() {{",
        ": answer",
        "masked",
    ),
]
# Additions for the second one.
ALSO = [
    ("src/domain/secret.rs", "    Quoted,\n}", "    Quoted,\n    #[allow(missing_docs)]\n    Repeated(&'static str),\n}"),
    ("src/domain/secret.rs", "            Self::Quoted =>", "            Self::Repeated(text) => text,\n            Self::Quoted =>"),
    # Another name, so that the real byokd is not overwritten.
    ("Cargo.toml", "autotests = false", "autotests = false\nautobins = false"),
    ("Cargo.toml", "[[test]]", '[[bin]]\nname = "byokd-mutants"\npath = "src/main.rs"\n\n[[test]]'),
]


def change(copy: Path, file: str, old: str, new: str) -> None:
    path = copy / file
    text = path.read_text()
    if text.count(old) != 1:
        sys.exit(f"tests/mutants.py: {file} has {text.count(old)} times, and should have once:\n{old}")
    path.write_text(text.replace(old, new))


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, **options)


def build(copy: Path) -> str:
    """The mutants' binary; in the target folder of the sources, which has the dependencies."""
    for name in ["Cargo.toml", "Cargo.lock", "build.rs", "src", "proto", "benches"]:
        take = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        take(ROOT / name, copy / name)
    (copy / "tests").mkdir()
    (copy / "tests" / "main.rs").write_text("//! No test.\n")
    for _, file, old, new, _, _ in MUTANTS:
        change(copy, file, old, new)
    for file, old, new in ALSO:
        change(copy, file, old, new)
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    # As for a test, of which there is none: the dependencies have the features that tests give them.
    built = run(
        "cargo", "test", "--no-run", "--locked", "--test", "byokd", "--target-dir", target, "--message-format=json",
        cwd=copy, check=True,
    )  # fmt: skip
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "byokd-mutants")


def canary(environment: dict[str, str]) -> tuple[int, str]:
    ran = run(
        "cargo", "test", "--locked", "--test", "byokd", "--", "--exact", TEST, "--nocapture",
        cwd=ROOT, env=os.environ | environment, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return ran.returncode, ran.stdout


def main() -> None:
    failed = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        binary = build(Path(folder))

        def ran(mutant: str) -> Future[tuple[int, str]]:
            return pool.submit(canary, {"BYOKD_TEST_BINARY": binary, "BYOKD_MUTANT": mutant})

        control, mutants = ran("none"), [(*about, ran(about[-1])) for about in MUTANTS]
        # With no mutant switched on, the test passes.
        code, said = control.result()
        if code != 0:
            sys.exit(f"the canary test fails without a mutant:\n{said[-4000:]}")
        for name, _, _, _, way, _, outcome in mutants:
            code, said = outcome.result()
            found = [line for line in said.splitlines() if line.startswith(("the rich key", "the plain key"))]
            caught = code != 0 and any(way in line for line in found)
            failed += not caught
            print(f"{'caught' if caught else 'MISSED'}: {name}: {len(found)} ways out")
            if not caught:
                print(said[-4000:])
    sys.exit(failed and f"{failed} mutants were missed")


if __name__ == "__main__":
    main()
