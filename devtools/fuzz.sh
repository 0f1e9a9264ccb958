#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: fuzz.sh [--new] [--seconds N] [--jobs N] [--junit FILE] [TARGET...]
#        fuzz.sh --mutants [--seconds N] [TARGET...]
#        fuzz.sh --build
#
# Builds the fuzz targets of test/fuzz with the distribution's newest clang, with address and
# undefined-behaviour sanitizers, in a build folder of their own, and runs those that are named, or
# all, N seconds each (60). First it replays what findings have left in test/fuzz/regressions. What
# is learned is kept in the cache folder and gone on with the next time (with --new it begins from
# the seeds, by the same random numbers, and is kept in the build folder); inputs with which something
# was found are kept there, too. With --jobs so many processes of a target share what they learn: one
# for each core, or more of a target that mostly waits (client, discovery). Last comes a table, and
# which lines of the code that reads a peer's data were not run.
#
# With --mutants the code is broken in one place for each target, one after the other, and the target
# has N seconds to find it, from its seeds (test/fuzz/mutants.py). With --build it only builds.
#
# The exit status is 0 if nothing was found, 1 if something was, or if all targets together have run
# less than 95 % of those lines (with --mutants: if one was not found), 77 if clang cannot be installed.

. "$(dirname "$0")/common.sh"

seconds=60
jobs=1
junit=
new=
mutants=
only_build=
while [[ ${1:-} == --* ]]; do
	case $1 in
	--new) new=yes ;;
	--mutants) mutants=yes ;;
	--build) only_build=yes ;;
	--seconds) seconds=${2:?} && shift ;;
	--jobs) jobs=${2:?} && shift ;;
	--junit) junit=$(realpath -m "${2:?}") && shift ;;
	*) fail "usage: fuzz.sh [--new | --mutants | --build] [--seconds N] [--jobs N] [--junit FILE] [TARGET...]" ;;
	esac
	shift
done

# Prints the newest clang that the distribution has, with its run-time library and llvm-cov.
newest_clang() {
	local version
	while read -r version; do
		if has_package "libclang-rt-$version-dev" && has_package "llvm-$version"; then
			echo "$version"
			return
		fi
	done < <(apt-cache pkgnames clang- | sed -n 's/^clang-\([0-9]*\)$/\1/p' | sort -rn)
	return 1
}

has_package() {
	[ -n "$(apt-cache --quiet=0 policy "$1" 2>/dev/null | sed -n '/Candidate: [0-9]/p')" ]
}

skip() {
	say "skipped: fuzzing, as $*"
	[ -z "$junit" ] || cat >"$junit" <<-EOF
		<testsuite name="fuzz"><testcase classname="fuzz" name="all">
		<skipped message="$*"/></testcase></testsuite>
	EOF
	exit 77
}

"$python" -B "$top/test/fuzz/mutants.py" --check || fail "mutants are out of date"
need_root
install_packages "${build_packages[@]}"
version=$(newest_clang) || { quietly apt-get -q update && version=$(newest_clang); } ||
	skip "the distribution has no clang with its libraries"
(install_packages "clang-$version" "libclang-rt-$version-dev" "llvm-$version") ||
	skip "clang-$version cannot be installed"

folder=$(build_folder "-fuzz")
CC=clang-$version CXX=clang++-$version configure "$folder" -Dfuzz=true -Dwerror=false \
	"${sanitizing[@]}" -Doptimization=1
say "with clang $version"
build "$folder" fuzz || fail "ninja -C $folder fuzz"
[ -z "$only_build" ] || exit 0

if [ -n "$mutants" ]; then
	say "breaking the code"
	exec "$python" -B "$top/test/fuzz/mutants.py" --build "$folder" --seconds "$seconds" "$@"
fi

corpora=$cache/fuzz
if [ -n "$new" ]; then
	corpora=$folder/corpora
	rm -rf "$corpora"
fi
say "fuzzing; inputs in $corpora"
exec "$python" -B "$top/test/fuzz/run.py" --build "$folder" --llvm "$version" \
	--corpora "$corpora" --seconds "$seconds" --jobs "$jobs" ${new:+--seed 1} ${junit:+--junit "$junit"} "$@"
