#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: check-headers.py BUILD_FOLDER

Compiles each header that the build would install, alone, as C11, C17 and C++20, with gcc and with
each clang from 14 on that this machine has. They stand in one folder then, as where they are
installed; DPDK's headers are system headers. The exit status is 77 if there is no clang, or no build.
"""

import json
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory

STANDARDS = (("c", "c11"), ("c", "c17"), ("c++", "c++20"))
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Werror")
CLANGS = range(14, 30)
# Any file that is compiled with DPDK tells where its headers are.
USER_OF_DPDK = "lib/emudev/rte_emudev.cpp"


def installed_headers(build):
	rows = json.loads((build / "meson-info/intro-installed.json").read_text())
	return sorted(Path(source) for source, target in rows.items()
		if source.endswith(".h") and "/include/" in target)


def dpdk_options(build):
	"""What the build says about DPDK: where its headers are, and for which machine it was built."""
	entry = next(each for each in json.loads((build / "compile_commands.json").read_text())
		if each["file"].endswith(USER_OF_DPDK))
	words = shlex.split(entry["command"])
	out = []
	for word, after in zip(words, [*words[1:], ""]):
		if word in ("-isystem", "-include"):
			out += [word, after]
		elif word.startswith(("-isystem", "-march", "-mrtm", "-msse")):
			out.append(word)
	return out


def compilers():
	return [name for name in ("gcc", *(f"clang-{v}" for v in CLANGS)) if shutil.which(name)]


def complaint(folder, options, compiler, standard, header):
	language, name = standard
	command = [compiler, "-x", language, f"-std={name}", *WARNINGS, "-fsyntax-only", *options,
		"-I", folder, "-"]
	done = subprocess.run(command, input=f"#include <{header.name}>\n", capture_output=True,
		text=True, check=False)
	return f"{header.name}: {compiler} {name}:\n{done.stderr}" if done.returncode else ""


def check(build, found):
	headers = installed_headers(build)
	options = dpdk_options(build)
	with TemporaryDirectory() as folder, ThreadPoolExecutor(cpu_count()) as pool:
		for header in headers:
			(Path(folder) / header.name).symlink_to(header)
		cases = list(product(found, STANDARDS, headers))
		answers = pool.map(lambda case: complaint(folder, options, *case), cases)
		failed = [text for text in answers if text]
	print("\n".join(failed), end="")
	print(f"{len(headers)} headers, {', '.join(found)}: {len(failed)} of {len(cases)} fail")
	return bool(failed) or not cases


def main(build):
	if not (Path(build) / "compile_commands.json").exists():
		print(f"skipped: headers, as there is no {build}/compile_commands.json")
		return 77
	found = compilers()
	failed = check(Path(build), found)
	if not failed and not any(name.startswith("clang") for name in found):
		print("skipped: headers with clang, as it is not installed")
		return 77
	return failed


if __name__ == "__main__":
	sys.exit(main(*sys.argv[1:]))
