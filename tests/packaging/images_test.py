"""packaging/images: what lies in the images, without an engine."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "packaging/images"
BIN = Path(os.environ.get("MUSTER_BIN_DIR", ROOT / "build/release/bin"))


@pytest.fixture(params=["agent", "hub"], scope="module")
def layout(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    subprocess.run([IMAGES / "build.bash", request.param, "--bin", BIN, "--layout", folder], check=True)
    return request.param, folder


def test_the_image_is_from_scratch_and_nobodys_root(layout):
    which, folder = layout
    text = (folder / "Dockerfile").read_text()
    assert text == (IMAGES / f"{which}.Dockerfile").read_text()
    instructions = re.findall(r"^([A-Z]+) ", text, re.M)
    assert instructions.count("FROM") == 1 and "FROM scratch\n" in text
    assert not {"RUN", "ADD", "CMD"} & set(instructions)
    assert "USER 65532:65532\n" in text and f'ENTRYPOINT ["/usr/local/bin/muster-{which}"]' in text
    for label in ("title", "description", "version", "revision", "created", "source", "licenses"):
        assert f"org.opencontainers.image.{label}=" in text


def test_only_programs_their_libraries_and_authorities_are_in_it(layout):
    which, folder = layout
    programs = {"agent": {"muster-agent"}, "hub": {"muster-hub", "muster-agent"}}[which]
    root = folder / "root"
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    libraries = {name for name in files if re.search(r"\.so(\.|$)", name)}
    assert files - libraries == {f"usr/local/bin/{name}" for name in programs} | {"etc/ssl/certs/ca-certificates.crt"}
    assert not [path for path in root.rglob("*") if path.is_symlink()]
    data = folder / f"data/muster-{which}"
    assert data.stat().st_mode & 0o777 == 0o700 and not list(data.iterdir())


def test_the_program_starts_with_nothing_else(layout):
    which, folder = layout
    if os.geteuid() != 0:
        pytest.skip("skipped: chroot needs root")
    done = subprocess.run(["/usr/sbin/chroot", "--userspec=65532:65532", folder / "root", f"/usr/local/bin/muster-{which}", "--version"],
                          text=True, capture_output=True, env={})
    assert done.returncode == 0 and done.stdout.startswith(f"muster-{which} "), done.stderr


def test_a_missing_program_is_told(tmp_path):
    done = subprocess.run([IMAGES / "build.bash", "agent", "--bin", tmp_path, "--layout", tmp_path / "x"], text=True,
                          capture_output=True)
    assert done.returncode == 1 and "run ./dev build first" in done.stderr
