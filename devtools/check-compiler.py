# SPDX-License-Identifier: BSD-3-Clause
"""usage: check-compiler.py BUILD_FOLDER [gcc-VERSION|clang-VERSION]

Lets another compiler look at all files that the build compiles, with the build's own options: what
the build's compiler takes and this one does not is found without a second build. clang only looks;
gcc has most of its warnings from optimizing, so that it compiles, and what it makes is thrown away.
In libraries and drivers clang also says what would be destroyed while other threads use it, in exit().
Without a name it is the oldest clang from 14 on that this machine has. The exit status is 77 if
there is none, or no list of commands.
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


def find_clang():
	return next((f"clang-{v}" for v in VERSIONS
		if shutil.which(f"clang++-{v}") and shutil.which(f"clang-{v}")), None)


def command_of(entry, compiler):
	"""The command of the list, by the compiler, without its outputs."""
	words = shlex.split(entry["command"])
	while Path(words[0]).name.split("-")[0] not in COMPILERS:
		del words[0]  # ccache
	is_cxx = "++" in words[0]
	for option in ("-o", "-MF", "-MQ"):
		if option in words:
			at = words.index(option)
			del words[at:at + 2]
	name, version = compiler.split("-")
	program = compiler if not is_cxx else f"{'g' if name == 'gcc' else name}++-{version}"
	mode = ["-c", "-o", "/dev/null"] if name == "gcc" else ["-fsyntax-only"]
	# gcc alone says what its thread sanitizer cannot see.
	unknown = ("-Wno-tsan",) if name == "clang" else ()
	if name == "clang" and is_cxx and Path(entry["file"]).parts[1] in ("lib", "drivers"):
		mode.append("-Wexit-time-destructors")
	rest = (word for word in words[1:] if word not in ("-c", "-MD", *unknown) and
		not word.startswith("-fdiagnostics-color"))
	return [program, *mode, *rest]


def complaints(entry, compiler):
	done = subprocess.run(command_of(entry, compiler), cwd=entry["directory"],
		stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
	return f"{compiler}:\n{done.stderr}" if done.returncode else ""


def main(build, compiler=None):
	commands = Path(build) / "compile_commands.json"
	compiler = compiler or find_clang()
	if not compiler or not commands.exists():
		print("skipped: clang, as " + ("it is not installed" if commands.exists() else
			f"there is no {commands}"))
		return 77
	# Several targets may have the same file: it counts where it comes first.
	entries = {entry["file"]: entry for entry in reversed(json.loads(commands.read_text()))}.values()
	with ThreadPoolExecutor(cpu_count()) as pool:
		answers = pool.map(lambda each: complaints(each, compiler), entries)
		failed = [text for text in answers if text]
	print("\n".join(failed), end="")
	return bool(failed)


if __name__ == "__main__":
	sys.exit(main(*sys.argv[1:]))
