#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: check-style.sh [CHECK]...
#
# Checks what a machine can check of the project's style, all of it or what is named:
#
#   licence      the first lines of each file name it
#   includes     each room includes only what it may know
#   layout       clang-format would change nothing; its version 14, as others disagree with it
#   clang        clang takes what the build compiles with gcc: the oldest installed, from 14 on
#   headers      each installed header compiles alone as C11, C17 and C++20, without a warning
#   maintainers  each file has a section in MAINTAINERS, and what stands there exists
#   classes      classes are not wider, and functions not longer, than check-classes.py says
#   security     the tests, files and bounds that the page on security names are those of the tree
#   devargs      the page of all arguments is that of the code's tables, and the guides explain each
#   mutants      what the fuzz targets are to find is still broken where the code is
#   sizes        lists lines over 100 columns and files over 500 lines, without failing
#
# "meson test" runs all but the last. The exit status is 77 if nothing is wrong and something could
# not be checked.

. "$(dirname "$0")/common.sh"

cd "$top" || exit
max_lines=500
max_columns=100
code=('*.c' '*.h' '*.cpp' '*.hpp')
failed=
skipped=

complain() {
	echo "$*"
	failed=yes
}

skip() {
	echo "skipped: $*"
	skipped=yes
}

# git, also for a checkout of another user's.
tree() {
	git -c safe.directory='*' "$@"
}

# Files under version control, of the working tree.
files() {
	tree ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}

check_licence() {
	local file
	while read -r file; do
		head -n 2 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' ||
			complain "$file: no SPDX line first"
	done < <(files "${code[@]}" '*.py' '*.sh' '*.map' '*meson.build' \
		meson_options.txt '*.rst' '*.md' '*.svg')
}

check_includes() {
	"$python" devtools/check-includes.py || failed=yes
}

check_classes() {
	"$python" devtools/check-classes.py || failed=yes
}

check_layout() {
	local file program
	for program in clang-format-14 clang-format; do
		[[ $("$program" --version 2>/dev/null) != *"version 14."* ]] || break
		program=
	done
	if [ -z "$program" ]; then
		skip "layout, as clang-format 14 is not installed"
		return
	fi
	while read -r file; do
		"$program" --dry-run --Werror "$file" >/dev/null 2>&1 ||
			complain "$file: not as clang-format -i would leave it"
	done < <(files "${code[@]}")
}

check_clang() {
	take_status "$python" devtools/check-compiler.py "${EMUDEV_BUILD:-build}"
}

check_headers() {
	take_status "$python" devtools/check-headers.py "${EMUDEV_BUILD:-build}"
}

# Runs a check that says by its status what came out, 77 for skipped.
take_status() {
	local status=0
	"$@" || status=$?
	case $status in
	0) ;;
	77) skipped=yes ;;
	*) failed=yes ;;
	esac
}

check_maintainers() {
	local path file covered
	while read -r path; do
		if [[ $path == *_autotest ]]; then
			grep -rqF "REGISTER_TEST($path," app/test ||
				complain "MAINTAINERS: no test $path"
		else
			[ -e "$path" ] || complain "MAINTAINERS: there is no $path"
		fi
	done < <(sed -n 's/^[FT]: //p' MAINTAINERS | sed 's/, /\n/g')
	mapfile -t covered < <(sed -n 's/^F: //p' MAINTAINERS)
	while read -r file; do
		has_section "$file" || complain "MAINTAINERS: no section has $file"
	done < <(files)
}

# has_section FILE: one of the array covered is the file, or a folder above it.
has_section() {
	local path
	for path in "${covered[@]}"; do
		[[ $1 != "$path" && ($path != */ || $1 != "$path"*) ]] || return 0
	done
	return 1
}

check_security() {
	"$python" devtools/check-security.py || failed=yes
}

check_devargs() {
	"$python" -B devtools/make-devargs.py --check || failed=yes
}

check_mutants() {
	"$python" -B test/fuzz/mutants.py --check || failed=yes
}

check_sizes() {
	list_long_lines
	list_long_files
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

checks=(licence includes classes layout clang headers maintainers security devargs mutants sizes)
for check; do
	[[ " ${checks[*]} " == *" $check "* ]] ||
		fail "usage: check-style.sh [CHECK]..., of ${checks[*]}"
done

if ! command -v git >/dev/null; then
	skip "all, as git is not installed"
	exit 77
elif ! tree ls-files >/dev/null 2>&1; then
	skip "all, as $top is no git checkout"
	exit 77
fi
for check in "${@:-${checks[@]}}"; do
	"check_$check"
done
[ -z "$failed" ] || exit 1
[ -z "$skipped" ] || exit 77
