#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: check-style.sh
#
# Checks what a machine can check of the project's style. The licence line of each file and what
# each room includes must be right. Listed for a look, without failing: lines over 100 columns,
# files over 500 lines, and files that clang-format would lay out differently.

. "$(dirname "$0")/common.sh"

cd "$top" || exit
max_lines=500
max_columns=100
code=('*.c' '*.h' '*.cpp' '*.hpp')
failed=

complain() {
	echo "$*"
	failed=yes
}

# Files under version control, of the working tree.
files() {
	git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
		[ -f "$file" ] && echo "$file"
	done
}

check_licence() {
	local file
	while read -r file; do
		head -n 2 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' ||
			complain "$file: no SPDX line first"
	done < <(files "${code[@]}" '*.py' '*.sh' '*.map' '*meson.build' \
		meson_options.txt '*.rst')
}

check_includes() {
	"$python" devtools/check-includes.py || failed=yes
}

list_layout() {
	local file lines
	if ! command -v clang-format >/dev/null; then
		echo "clang-format is not installed: layout not compared"
		return
	fi
	while read -r file; do
		lines=$(clang-format "$file" | diff "$file" - | grep -c '^<') || continue
		echo "$file: clang-format would change $lines lines"
	done < <(files "${code[@]}")
}

list_long_lines() {
	files "${code[@]}" '*.py' '*.sh' | while read -r file; do
		expand "$file" | awk -v file="$file" -v max="$max_columns" 'length > max { n++ }
			END { if (n) print file ": " n " lines over " max " columns" }'
	done
}

list_long_files() {
	files "${code[@]}" '*.py' '*.sh' | xargs wc -l |
		awk -v max="$max_lines" '$2 != "total" && $1 > max { print $2 ": " $1 " lines" }'
}

check_licence
check_includes
list_layout
list_long_lines
list_long_files
[ -z "$failed" ]
