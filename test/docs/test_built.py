# SPDX-License-Identifier: BSD-3-Clause
"""What "ninja doc" makes of guides and headers, and "meson install" of that."""

import json
import re
import subprocess

import pytest

from documents import BUILD, ROOT, documents

MAPS = ("lib/vfio_user/version.map", "lib/emudev/version.map")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the documents, installed out of a build of their own: only there the option is on."""
    folder = tmp_path_factory.mktemp("docs")
    options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
    sdk = next(one["value"] for one in options if one["name"] == "driver_sdk")
    for command in (["meson", "setup", folder / "build", ROOT, "-Ddocs=true", f"-Ddriver_sdk={sdk}"],
                    ["ninja", "-C", folder / "build", "doc"],
                    ["meson", "install", "-C", folder / "build", "--no-rebuild", "--tags", "doc",
                     "--destdir", folder / "installed"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "installed/usr/local/share/doc/dpdk-emudev"


def test_each_guide_is_a_page(built):
    pages = [one.removeprefix("doc/guides/").replace(".rst", ".html") for one in documents() if one.endswith(".rst")]
    assert "index.html" in pages
    assert not [page for page in pages if not (built / "guides" / page).exists()]


def test_each_public_function_is_in_the_reference(built):
    names = [name for file in MAPS for name in re.findall(r"^\t(rte_\w+);", (ROOT / file).read_text(encoding="utf-8"),
                                                          re.MULTILINE)]
    assert names
    text = "".join(page.read_text(encoding="utf-8") for page in (built / "api/html").glob("rte__*_8h.html"))
    assert not [name for name in names if f">{name}</a>" not in text]
