#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: test.sh [--only STAGE]...
#
# Installs what the tests need, builds, and runs them in these stages:
#
#   unit       autotests of each room, and the checks of check-style.sh (meson test)
#   clang      clang takes all that the build compiles with gcc
#   protocol   raw bytes against a running server (test/protocol)
#   install    what "ninja install" gives, the bench's own parts, a short soak, the commands of
#              the documents (test/install, test/bench, test/soak, test/docs)
#   guest      stock Linux guests in QEMU (test/guest), one of them with an example (test/examples)
#   ovs        the distribution's Open vSwitch with our port (test/ovs)
#   pair       two stock testpmds, one drives the other's device (test/dpdk)
#   sanitize   unit and protocol again, and hostile servers of the pair, with address and
#              undefined-behaviour sanitizers
#   fuzz       the fuzz targets (test/fuzz), 3 s each, from their seeds; skipped without clang
#
# When all are run, what only a compiler has to do (clang, and the builds of the last two stages) is done
# beside guest, ovs and pair, with the time that their tests leave as they wait for each other.
#
# The last line sums the results: "N passed, N failed", with ", N skipped" if there are any. A stage
# that cannot be prepared counts as one failure. Up to three tests that failed of a suite with stock
# peers are tried once more, and named all the same. The exit status is 0 only if something was run and
# nothing failed. Results in JUnit form stay in the build folder, below test-results/.

. "$(dirname "$0")/common.sh"

stages=(unit clang protocol install guest ovs pair sanitize fuzz)

usage() {
	fail "usage: test.sh [--only ${stages[*]/%/|}]..."
}

# expect NAME: of a suite that does not come to write its results an empty file stays: a failure.
expect() {
	: >"$results/$1.xml"
}

# run_meson_tests BUILD_FOLDER NAME [OPTION]...
run_meson_tests() {
	local folder=$1 name=$2 status=0
	say "unit tests ($name)"
	expect "$name"
	rm -f "$folder/meson-logs/$name.junit.xml"
	meson test -C "$folder" --no-rebuild --print-errorlogs --logbase "$name" "${@:3}" \
		</dev/null >&2 || status=$?
	cp "$folder/meson-logs/$name.junit.xml" "$results/$name.xml" || true
	# What ran too long, Meson does not write down as failed.
	[ $status = 0 ] || grep -Eq '<(failure|error) ' "$results/$name.xml" || expect "$name"
}

# pytest_to XML BUILD_FOLDER NAME TESTS [OPTION]...
pytest_to() {
	EMUDEV_BUILD=$2 "$python" -B -m pytest -o cache_dir="$results/$3.cache" -v --tb=short \
		--durations=5 -o junit_family=xunit2 --junit-xml="$1" "${@:5}" "$top/test/$4" \
		</dev/null >&2 || true
}

# run_pytest BUILD_FOLDER NAME TESTS
run_pytest() {
	say "$2 tests"
	expect "$2"
	pytest_to "$results/$2.xml" "$@"
}

# The same, of tests that live with stock peers: emulated processors and other programs share the
# cores with them, and now and then one misses what it waits for. What really broke fails twice.
run_peers() {
	local failed
	run_pytest "$@"
	failed=$("$python" "$top/devtools/sum-results.py" "$results/$2.xml" 2>/dev/null | cut -d' ' -f2)
	[[ $failed == [123] ]] || return 0
	say "second try of $failed of the $2 tests"
	pytest_to "$results/$2.again.xml" "$@" --last-failed --last-failed-no-failures=none
}

# side_by_side COMMAND...: with what is called next, each on a core. What it prints is shown by
# show_other_side, which waits for it.
side_by_side() {
	"$@" >"$results/other-side.log" 2>&1 &
	other_side=$!
}

show_other_side() {
	wait "$other_side" || true
	cat "$results/other-side.log" >&2
}

stage_unit() {
	# Where there are none, what needs them is skipped aloud.
	(install_packages "${style_packages[@]}") || true
	run_meson_tests "$build" unit --no-suite clang
}

stage_clang() {
	(install_packages "${style_packages[@]}") || true
	run_meson_tests "$build" clang --suite clang
}

stage_protocol() {
	run_pytest "$build" protocol protocol
}

stage_install() {
	run_pytest "$build" install install
	install_packages "${profile_packages[@]}"
	run_peers "$build" bench bench
	run_peers "$build" soak soak
	install_packages "${doc_packages[@]}" "${boot_packages[@]}"
	"$top/devtools/get-guest.sh" >/dev/null
	"$top/devtools/get-ipxe.sh" >/dev/null
	run_peers "$build" docs docs
}

stage_ovs() {
	install_packages "${ovs_packages[@]}"
	run_peers "$build" ovs ovs
}

stage_pair() {
	run_peers "$build" pair dpdk
}

stage_guest() {
	# Where there are none, what needs them is skipped aloud.
	(install_packages "${libvirt_packages[@]}") || true
	"$top/devtools/get-guest.sh" >/dev/null
	run_peers "$build" guest guest
	run_peers "$build" examples examples
}

stage_sanitize() {
	local sanitized
	sanitized=$(build_folder -asan)
	compile_sanitized "$sanitized"
	ASAN_OPTIONS=detect_leaks=1:halt_on_error=1 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		side_by_side run_meson_tests "$sanitized" unit-asan
	run_pytest "$sanitized" protocol-asan protocol
	show_other_side
	run_pytest "$sanitized" pair-asan dpdk/test_pair_faults.py
}

# It writes its results itself, what was found and that it was skipped included.
stage_fuzz() {
	local status=0
	say "fuzz tests"
	expect fuzz
	"$top/devtools/fuzz.sh" --new --seconds 3 --junit "$results/fuzz.xml" >&2 || status=$?
	[[ $status =~ ^(0|1|77)$ ]]
}

# Runs a stage in a shell of its own, which may end early. Not as a condition: "set -e" holds in it.
run_stage() {
	local status
	set +e
	(
		set -e
		"stage_$1"
	)
	status=$?
	set -e
	[ $status = 0 ] || expect "$1"
}

# The stages find built what was built here, and say what went wrong with it: this does not. Its words
# go to a file.
begin_beside() {
	say "beside the stages: clang, and the builds of sanitize and fuzz"
	beside "$0" --beside "$results" >"$results/beside.log" 2>&1
	beside=$!
}

run_beside() {
	trap - EXIT
	build=$(build_folder "")
	results=$1
	run_stage clang
	(compile_sanitized "$(build_folder -asan)") || true
	"$top/devtools/fuzz.sh" --build || true
}

await_beside() {
	say "waiting for what is done beside"
	wait "$beside" || true
	beside=
}

# All of its session.
end_beside() {
	[ -z "$beside" ] || kill -- "-$beside" 2>/dev/null || true
}

conclude() {
	local passed failed skipped skipped_text=
	read -r passed failed skipped < <("$python" "$top/devtools/sum-results.py" "$results"/*.xml)
	[ "$skipped" = 0 ] || skipped_text=", $skipped skipped"
	summed=yes
	echo "$passed passed, $failed failed$skipped_text"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}

beside=
if [ "${1:-}" = --beside ]; then
	run_beside "${2:?}"
	exit
fi
chosen=()
while [ $# != 0 ]; do
	[ "$1" = --only ] && [[ " ${stages[*]} " == *" ${2:-} "* ]] || usage
	chosen+=("$2")
	shift 2
done

trap '[ -n "${summed:-}" ] || echo "0 passed, 1 failed: preparation, see above"; end_beside' EXIT
need_root
prepare
results=$build/test-results
mkdir -p "$results"
rm -rf "$results"/*.xml "$results"/*.cache
if [ ${#chosen[@]} != 0 ]; then
	for stage in "${chosen[@]}"; do
		run_stage "$stage"
	done
else
	side_by_side run_stage unit
	run_stage protocol
	show_other_side
	run_stage install
	begin_beside
	for stage in guest ovs pair; do
		run_stage "$stage"
	done
	await_beside
	for stage in sanitize fuzz; do
		run_stage "$stage"
	done
fi
say "done; results in $results"
conclude
