#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks that classes are narrow and functions short.

usage: check-classes.py [--list] [ROOT]

A class has at most 25 public methods and 15 data members, and a function 60 lines from its opening
to its closing brace (in Python from "def" on). More needs its reason, in a comment that stands with
it: "Wide: ..." for a class, "Long: ..." for a function. --list prints all sizes.

It reads the text, not what a compiler makes of it, and counts as follows. Methods: each overload,
operators, constructors and static functions too, but not what is defaulted or deleted, and not the
destructor. Members: static ones, constants included, are none. A structure in which there is only
data (a row of a table, what stands on the wire, what an application fills) has no limit of members.
What is inherited counts for the base. Functions inside functions (lambdas) count for the outer one.
Code that macros make is not seen.
"""

import ast
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

MAX_METHODS, MAX_MEMBERS, MAX_LINES = 25, 15, 60
TOPS = ("lib", "drivers", "app", "examples", "test", "devtools", "buildtools")
CXX = (".c", ".h", ".cpp", ".hpp")

# Too wide or too long when this check came: public methods and members of a class, lines of a
# function. They may shrink, and go from here then, which a note reminds of; nothing is added.
ALLOWED_CLASSES = {
}
ALLOWED_FUNCTIONS = {
}

NOISE = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'
	|^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*""", re.S | re.M | re.X)
DIGIT_MARK = re.compile(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])")
CLASS = re.compile(r"\b(class|struct|union)\s+(?:\[\[.*?\]\]\s*|alignas\([^)]*\)\s*)*"
	r"([A-Za-z_]\w*)?(?:\s+final)?\s*(?::[^:].*)?$", re.S)
LABEL = re.compile(r"^\s*(public|protected|private)\s*:")
PREFIX = re.compile(r"^(?:\[\[.*?\]\]|alignas\([^)]*\)|\s)+", re.S)
NO_MEMBER = re.compile(r"^(using|typedef|friend|static_assert|namespace)\b|^(RTE_|__rte)\w+\s*\("
	r"|^(enum|class|struct|union)\s+(class\s+)?\w+$|^enum\b.*\{\}$", re.S)


@dataclass
class Class:
	name: str
	line: int
	excused: bool = False
	methods: int = 0
	members: int = 0
	public: bool = True  # While it is read: of what comes next.
	functions: int = 0  # Of any access.

	@property
	def too_wide(self):
		return self.methods > MAX_METHODS or self.functions > 0 and self.members > MAX_MEMBERS

	@property
	def sizes(self):
		return (self.methods, self.members)


@dataclass
class Function:
	name: str
	line: int
	lines: int
	excused: bool


@dataclass
class Scope:
	kind: str  # "outer" (a namespace), "class", "function", "inner" (all else)
	start: int
	name: str = ""
	what: Class = None
	text: str = field(default="")  # Of the statement that is being read.


def blank(found):
	"""A comment, literal or directive as blanks: lines and columns stay."""
	text = found[0]
	if text[0] == '"':
		return '"' + "_" * (len(text) - 2) + '"'
	return re.sub(r"[^\n]", " ", text)


def without_templates(text):
	while (shorter := re.sub(r"<[^<>()]*>", "", text)) != text:
		text = shorter
	return text


def is_function(text):
	"""Whether the head before a brace is that of a function."""
	return bool(re.search(r"\)|\boperator\b", text)) and not re.search(r"=\s*$", text) \
		and not re.match(r"\s*(enum|namespace)\b", text) and "=" not in text.split("(")[0]


def name_of(head):
	text = without_templates(head)
	found = re.search(r"((?:~?\w+\s*::\s*)*(?:operator\s*\S+|~?\w+))\s*\(", text)
	return re.sub(r"\s", "", found[1]) if found else "?"


class Reader:
	"""Finds the classes and functions of one file by its braces."""

	def __init__(self, source):
		self.source = source
		self.text = NOISE.sub(blank, DIGIT_MARK.sub("_", source))
		self.classes = []
		self.functions = []
		self.stack = [Scope("outer", 0)]
		self.head_start = 0

	def read(self):
		for at, char in enumerate(self.text):
			scope = self.stack[-1]
			if char == "{":
				self.open(at)
			elif char == "}" and len(self.stack) > 1:
				self.close(at)
			elif char == ";":
				if scope.kind == "class":
					self.member(scope.what, scope.text)
				scope.text = ""
				if scope.kind in ("class", "outer"):
					self.head_start = at + 1
			else:
				scope.text += char
				if scope.kind == "class" and (label := LABEL.match(scope.text)):
					scope.what.public = label[1] == "public"
					scope.text = ""
		return self

	def line(self, at):
		return self.text.count("\n", 0, at) + 1

	def open(self, at):
		head = self.stack[-1].text
		kind, what, name = self.classify(head, at)
		self.stack.append(Scope(kind, at, name, what))
		if kind in ("class", "outer"):
			self.head_start = at + 1

	def classify(self, head, at):
		outer = self.stack[-1]
		if outer.kind in ("function", "inner"):
			return "inner", None, ""
		bare = without_templates(head)
		if (found := CLASS.search(bare)) and not re.match(r"\s*enum\b", bare) and \
				"(" not in re.sub(r"alignas\([^)]*\)", "", bare):
			name = found[2] or outer.name
			return "class", Class(name, self.line(at), public=found[1] != "class"), name
		if re.search(r"\bnamespace\b|\bextern\s+\"_\"\s*$", bare):
			return "outer", None, ""
		return ("function", None, name_of(head)) if is_function(bare) else ("inner", None, "")

	def close(self, at):
		done = self.stack.pop()
		outer = self.stack[-1]
		if done.kind == "function" and re.match(r"\s*[,{]", self.text[at + 1:at + 80]):
			outer.text += "{}"  # It was an initialiser before the body.
			return
		comment = self.source[self.head_start if done.kind == "function" else 0:at]
		if done.kind == "class":
			self.end_class(done.what, done.start, at)
			outer.text = ""
		elif done.kind == "function":
			lines = self.text.count("\n", done.start, at) + 1
			self.functions.append(Function(done.name, self.line(done.start), lines,
				bool(re.search(r"\bLong: \S", comment))))
			if outer.kind == "class":
				self.member(outer.what, outer.text)
			outer.text = ""
		else:
			outer.text += "{}" if outer.kind == "class" else ""
			if outer.kind == "outer" and done.kind == "outer":
				outer.text = ""
		if outer.kind in ("class", "outer"):
			self.head_start = at + 1

	def end_class(self, what, start, at):
		before = self.source.rfind("\n\n", 0, start)
		what.excused = bool(re.search(r"\bWide: \S", self.source[max(before, 0):at]))
		self.classes.append(what)

	def member(self, what, text):
		"""Counts one statement of a class."""
		text = PREFIX.sub("", without_templates(re.sub(r"^\s*template\b", "", text)))
		text = text.strip()
		if not text or NO_MEMBER.match(text):
			return
		if re.search(r"=\s*(default|delete)$", text) or text.startswith("~"):
			return
		text = re.sub(r"\(\s*(\w+::)*\*[^)]*\)\s*\(.*", " pointer", text, flags=re.S)
		head = re.split(r"[={]", text)[0] if "operator" not in text else text
		if "(" in head:
			what.functions += 1
			what.methods += what.public
		elif not re.match(r"(static|inline static|constexpr static)\b", text):
			what.members += len(re.sub(r"\{.*?\}|\(.*?\)", "", text).split(","))


def python_functions(source):
	for node in ast.walk(ast.parse(source)):
		if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
			text = ast.get_source_segment(source, node)
			yield Function(node.name, node.lineno, node.end_lineno - node.lineno + 1,
				"Long: " in text)


def shell_functions(source):
	for found in re.finditer(r"^(\w+)\(\) \{\n.*?^\}", source, re.M | re.S):
		yield Function(found[1], source.count("\n", 0, found.start()) + 1,
			found[0].count("\n") + 1, "Long: " in found[0])


def sizes(path):
	"""Classes and functions of a file."""
	if path.suffix not in (*CXX, ".py", ".sh"):
		return [], []  # Perhaps no text, as an input of a fuzz target.
	source = path.read_text()
	if path.suffix in CXX:
		reader = Reader(source).read()
		return reader.classes, reader.functions
	if path.suffix == ".py":
		return [], list(python_functions(source))
	return [], list(shell_functions(source))


def class_complaint(file, found):
	allowed = ALLOWED_CLASSES.get(f"{file}: {found.name}", (MAX_METHODS, MAX_MEMBERS))
	if not found.too_wide or found.excused or \
			all(size <= limit for size, limit in zip(found.sizes, allowed)):
		return None
	return f"{file}:{found.line}: {found.name} has {found.methods} public methods and " \
		f"{found.members} members"


def function_complaint(file, found):
	allowed = ALLOWED_FUNCTIONS.get(f"{file}: {found.name}", MAX_LINES)
	if found.lines <= allowed or found.excused:
		return None
	return f"{file}:{found.line}: {found.name} has {found.lines} lines"


def print_stale(seen):
	"""Says what is listed and need not be any more. It fails nothing."""
	for key in {**ALLOWED_CLASSES, **ALLOWED_FUNCTIONS}.keys() - seen:
		print(f"note: {key} need not be listed any more")


def print_all(file, classes, functions):
	for found in classes:
		print(f"{found.methods:3} {found.members:3}  {file}: {found.name}")
	for found in functions:
		print(f"{found.lines:7}  {file}: {found.name}")


def main(*args):
	as_list = "--list" in args
	roots = [arg for arg in args if arg != "--list"]
	root = Path(roots[0] if roots else Path(__file__).parent.parent).resolve()
	complaints = []
	seen = set()  # What is over a limit, listed or not.
	for path in sorted(path for top in TOPS for path in (root / top).rglob("*") if path.is_file()):
		file = path.relative_to(root).as_posix()
		classes, functions = sizes(path)
		if as_list:
			print_all(file, classes, functions)
		seen |= {f"{file}: {found.name}" for found in classes if found.too_wide}
		seen |= {f"{file}: {found.name}" for found in functions if found.lines > MAX_LINES}
		complaints += [class_complaint(file, found) for found in classes]
		complaints += [function_complaint(file, found) for found in functions]
	complaints = [line for line in complaints if line]
	print("".join(f"{line}\n" for line in complaints), end="")
	if not roots:
		print_stale(seen)
	return 1 if complaints else 0


if __name__ == "__main__":
	sys.exit(main(*sys.argv[1:]))
