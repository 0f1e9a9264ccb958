#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the PMD information of a driver as C source.

usage: pmdinfogen.py OBJECT_OR_ARCHIVE OUTPUT.c

DPDK's registration macros leave symbols in the driver's object: this_pmd_name<N> holds the driver's
name, __<name>_param_string_export its parameters and __<name>_pci_tbl_export the name of its PCI id
table. Tools such as dpdk-pmdinfo.py look for a string "PMD_INFO_STRING= {json}" instead.
"""

import io
import json
import struct
import sys

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

AR_MAGIC = b"!<arch>\n"
AR_HEADER = struct.Struct("16s12s6s6s8s10s2s")
PCI_ID = struct.Struct("=IHHHH")  # struct rte_pci_id: class, vendor, device, subsystem ids


def members(path):
	"""The ELF images in an object file or an archive with full members."""
	with open(path, "rb") as file:
		data = file.read()
	if data.startswith(b"!<thin>\n"):
		raise SystemExit(f"{path}: a thin archive; build the library with full members")
	if not data.startswith(AR_MAGIC):
		yield data
		return
	at = len(AR_MAGIC)
	while at < len(data):
		size = int(AR_HEADER.unpack_from(data, at)[5])
		at += AR_HEADER.size
		if data[at:at + 4] == b"\x7fELF":
			yield data[at:at + size]
		at += size + size % 2


class Image:
	"""Symbols of one relocatable ELF object and the bytes they name."""

	def __init__(self, data):
		self.elf = ELFFile(io.BytesIO(data))
		table = self.elf.get_section_by_name(".symtab")
		has_symbols = isinstance(table, SymbolTableSection)
		self.symbols = list(table.iter_symbols()) if has_symbols else []

	def named(self, name):
		return next((s for s in self.symbols if s.name == name), None)

	def content(self, symbol):
		data = self.elf.get_section(symbol["st_shndx"]).data()
		return data[symbol["st_value"]:symbol["st_value"] + symbol["st_size"]]

	def string(self, symbol):
		return self.content(symbol).split(b"\0")[0].decode()

	def drivers(self):
		for symbol in self.symbols:
			if symbol.name.startswith("this_pmd_name") and symbol["st_size"]:
				yield self.describe(self.string(symbol))

	def describe(self, name):
		info = {"name": name, "params": "", "pci_ids": []}
		params = self.named(f"__{name}_param_string_export")
		if params:
			info["params"] = self.string(params)
		table = self.named(f"__{name}_pci_tbl_export")
		if table:
			ids = self.content(self.named(self.string(table)))
			rows = PCI_ID.iter_unpack(ids)
			info["pci_ids"] = [list(row[1:]) for row in rows if row[1]]
		return info


def main():
	source, output = sys.argv[1:]
	drivers = [info for data in members(source) for info in Image(data).drivers()]
	if not drivers:
		raise SystemExit(f"{source}: no driver registers itself here (RTE_PMD_REGISTER_*)")
	with open(output, "w", encoding="utf-8") as file:
		for info in drivers:
			text = json.dumps(json.dumps(info))[1:-1]
			symbol = info["name"].replace("-", "_")
			file.write(f"extern const char {symbol}_pmd_info[];\n")
			file.write(f"__attribute__((used)) const char {symbol}_pmd_info[] = "
				   f'"PMD_INFO_STRING= {text}";\n')


if __name__ == "__main__":
	main()
