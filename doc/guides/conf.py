# SPDX-License-Identifier: BSD-3-Clause
"""How Sphinx makes HTML of the guides. Needs no extension and no theme that Sphinx does not bring."""

from pathlib import Path

project = "dpdk-emudev"
author = "dpdk-emudev maintainers"
project_copyright = copyright = author
release = version = (Path(__file__).resolve().parents[2] / "VERSION").read_text(encoding="utf-8").strip()

html_theme = "alabaster"
html_theme_options = {"description": "Emulated PCI devices in a DPDK process", "page_width": "70em"}
html_show_copyright = False
html_copy_source = False
# Literal blocks are shell, C and output by turns: nothing to guess.
highlight_language = "none"
nitpicky = True
