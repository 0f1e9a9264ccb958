# SPDX-License-Identifier: BSD-3-Clause
"""usage: check-clang.py BUILD_FOLDER [VERSION]

Lets clang look at all files that the build compiles, with the build's own options: what gcc takes
and clang does not is found without a second build. Without a version it is the oldest clang from 14
on that this machine has. The exit status is 77 if there is none, or no list of commands.
"""

import json
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

VERSIONS = range(14, 30)
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "clang++")


def find_clang(versions):
	return next((v for v in versions
		if shutil.which(f"clang++-{v}") and shutil.which(f"clang-{v}")), None)


def syntax_only(entry, version):
	"""The command of the list, by clang, without its outputs."""
	words = shlex.split(entry["command"])
	while Path(words[0]).name.split("-")[0] not in COMPILERS:
		del words[0]  # ccache
	is_cxx = "++" in words[0]
	for option in ("-o", "-MF", "-MQ"):
		if option in words:
			at = words.index(option)
			del words[at:at + 2]
	program = f"clang++-{version}" if is_cxx else f"clang-{version}"
	rest = (word for word in words[1:] if word not in ("-c", "-MD"))
	return [program, "-fsyntax-only", *rest, "-fno-color-diagnostics"]


def complaints(entry, version):
	done = subprocess.run(syntax_only(entry, version), cwd=entry["directory"],
		stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
	return f"clang {version}:\n{done.stderr}" if done.returncode else ""


def main(build, *versions):
	commands = Path(build) / "compile_commands.json"
	version = find_clang(versions or VERSIONS)
	if not version or not commands.exists():
		print("skipped: clang, as " + ("it is not installed" if commands.exists() else
			f"there is no {commands}"))
		return 77
	entries = json.loads(commands.read_text())
	with ThreadPoolExecutor(cpu_count()) as pool:
		answers = pool.map(lambda each: complaints(each, version), entries)
		failed = [text for text in answers if text]
	print("\n".join(failed), end="")
	return bool(failed)


if __name__ == "__main__":
	sys.exit(main(*sys.argv[1:]))
