#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: check-distributions.sh [--quick | --only PART]... [SUITE]...
#
# Builds this checkout, as it stands, in a clean root of each Debian suite (bookworm, trixie and sid
# if none is named), with the compiler, meson and DPDK of the suite, warnings as errors, and then has
# these parts:
#
#   unit        the unit tests
#   compilers   each other gcc from 12 on and each clang from 14 on that the suite has compiles all files
#   packages    Debian packages are built, looked at by lintian, and tried in another clean root
#   guides      what the guides show is done, to the letter, with the programs of the suite
#
# A suite of which the mirror has not all packages is skipped, aloud. With --quick there are the unit
# tests and the newest clang only.
#
# EMUDEV_DPDK_SOURCES may name a folder with unpacked sources of DPDK, for suites whose mirror has none
# that driver headers could be taken from.
#
# Roots and build folders are cached (4 to 5 GB for a suite) and used again; a root is brought up to
# date each time. The last line sums up; the exit status is 0 only if a suite was built and none
# failed.

. "$(dirname "$0")/common.sh"
. "$top/devtools/roots.sh"

root_packages=("${build_packages[@]}" "${doc_packages[@]}" build-essential ca-certificates ccache debhelper dpdk git
	lintian python3)
guide_packages=("${run_packages[@]}" "${boot_packages[@]}" "${ovs_packages[@]}" "${libvirt_packages[@]}")
# What runs the commands of the guides, and holds what they say against what there is.
guide_tests=(install docs examples ovs guest/test_libvirt.py dpdk/test_pair_documented.py
	dpdk/test_pair_processes.py dpdk/test_pair_top.py dpdk/test_pair_troubleshooting.py)
all_parts=(unit compilers packages guides)
oldest_gcc=12
oldest_clang=14

# compilers_of PATTERN OLDEST: versions in the suite, the oldest first. A pattern has the version in
# brackets.
compilers_of() {
	run_in "$root" apt-cache pkgnames | sed -nE "s/^$1\$/\\1/p" | sort -n | awk "\$1 >= $2"
}

# What is asked beside the suite's own gcc, as gcc-13 and clang-19.
other_compilers() {
	local own
	compilers_of 'clang-([0-9]+)' "$oldest_clang" | sed 's/^/clang-/'
	[ -z "$quick" ] || return 0
	own=$(run_in "$root" g++ -dumpversion)
	compilers_of 'g\+\+-([0-9]+)' "$oldest_gcc" | sed "/^$own\$/d; s/^/gcc-/"
}

# install_compiler NAME: without it there is nothing to ask.
install_compiler() {
	quietly run_in "$root" apt-get -q -y --no-install-recommends install "${1/gcc/g++}"
}

versions() {
	run_in "$root" bash -c 'echo "DPDK $(pkg-config --modversion libdpdk)," \
		"$(g++ --version | head -n 1), meson $(meson --version)"'
}

# step WHAT COMMAND: of a suite, in its checkout.
step() {
	say "$suite: $1"
	quietly run_in "$root" bash -ec "cd /root/emudev && $2" || {
		say "$suite: FAILED: $1"
		failed_steps+=("$1")
		return 1
	}
}

# Copies that source of DPDK into the root which is of its series, if there is one.
offer_source() {
	local version source
	version=$(run_in "$root" pkg-config --modversion libdpdk)
	for source in "${EMUDEV_DPDK_SOURCES:-/nowhere}"/*; do
		[[ "$(cat "$source/VERSION" 2>/dev/null)" == "${version%.*}".* ]] || continue
		mkdir -p "$root/root/dpdk-source"
		cp -r "$source"/{VERSION,drivers,lib} "$root/root/dpdk-source/"
		return
	done
}

# The driver headers, which stay in the root.
get_headers() {
	say "$suite: driver headers"
	offer_source
	quietly run_in "$root" bash -c 'cd /root/emudev
		[ ! -d /root/dpdk-source ] || export EMUDEV_DPDK_SOURCE=/root/dpdk-source
		devtools/get-driver-sdk.sh'
}

# What was built with other headers or compilers is not used again.
build_suite() {
	step "configuring" 'sdk=$(devtools/get-driver-sdk.sh | tail -n 1)
		made_with=$(dpkg-query -W -f "\${Version} " libdpdk-dev g++ meson)
		[ "$(cat /root/build/made_with 2>/dev/null)" != "$made_with" ] || exit 0
		rm -rf /root/build
		meson setup /root/build . "-Ddriver_sdk=$sdk"
		echo "$made_with" >/root/build/made_with' &&
		step "building" 'ninja -k 0 -C /root/build'
}

ask_compilers() {
	local compiler
	while read -r compiler; do
		if ! install_compiler "$compiler"; then
			say "$suite: SKIPPED: $compiler, which the mirror does not give"
			continue
		fi
		step "$compiler" "python3 devtools/check-compiler.py /root/build $compiler" || true
	done < <(other_compilers | { [ -z "$quick" ] && cat || tail -n 1; })
}

# The root with all that a build needs.
prepare_suite() {
	if ! make_root "$suite" "$root" "${root_packages[@]}"; then
		say "$suite: SKIPPED: $mirror does not give all of its packages"
		return 1
	fi
	say "$suite: $(versions)"
	copy_checkout "$root/root/emudev"
	if ! get_headers; then
		say "$suite: SKIPPED: $mirror has no source of its DPDK; name a folder with one in" \
			"EMUDEV_DPDK_SOURCES"
		return 1
	fi
}

part_unit() {
	step "unit tests" 'meson test -C /root/build --no-rebuild --print-errorlogs'
}

part_compilers() {
	ask_compilers
}

part_packages() {
	step "packages" 'devtools/check-packages.sh --build' || return 0
	say "$suite: using the packages"
	if ! make_clean_root "$suite"; then
		say "$suite: SKIPPED: use of the packages, for which $mirror gives no further root"
	elif ! use_packages "$suite" "$root/root/.cache/dpdk-emudev/packages"; then
		failed_steps+=("use of packages")
	fi
}

# The guests are the same for all: their recipe names the suites that they are of.
lend_images() {
	local script folder to=$root/root/.cache/dpdk-emudev
	mkdir -p "$to"
	for script in get-guest get-ipxe; do
		folder=$("$top/devtools/$script.sh")
		[ -d "$to/$(basename "$folder")" ] || cp -r "$folder" "$to/"
	done
}

part_guides() {
	local one
	say "$suite: what the guides need"
	lend_images
	quietly run_in "$root" apt-get -q -y --no-install-recommends install "${guide_packages[@]}" || {
		say "$suite: SKIPPED: guides, for which $mirror does not give all packages"
		return 0
	}
	reserve_huge_pages
	for one in "${guide_tests[@]}"; do
		step "$one" "EMUDEV_BUILD=/root/build python3 -B -m pytest -p no:cacheprovider -v --tb=short \
			test/$one" || true
	done
}

# All that can be tried is, to have it in one run.
check_suite() {
	local part
	failed_steps=()
	# Packages are built elsewhere.
	[ "${parts[*]}" = packages ] || build_suite || return 1
	for part in "${parts[@]}"; do
		"part_$part" || true
	done
	[ ${#failed_steps[@]} = 0 ]
}

need_root
quick= parts=()
while [[ "${1:-}" == -* ]]; do
	if [ "$1" = --quick ]; then
		quick=yes parts=(unit compilers)
	elif [[ "$1" = --only && " ${all_parts[*]} " == *" ${2:-} "* ]]; then
		parts+=("$2")
		shift
	else
		fail "usage: check-distributions.sh [--quick | --only PART]... [SUITE]..., parts: ${all_parts[*]}"
	fi
	shift
done
[ ${#parts[@]} != 0 ] || parts=("${all_parts[@]}")
install_packages mmdebstrap debian-archive-keyring
mirror=$(debian_mirror)
passed=() failed=() skipped=()
[ $# != 0 ] || set -- bookworm trixie sid
for suite; do
	root=$cache/root-$suite
	if ! prepare_suite; then
		skipped+=("$suite")
	elif check_suite; then
		passed+=("$suite")
	else
		failed+=("$suite (${failed_steps[*]})")
	fi
done
say "passed: ${passed[*]:-none}; failed: ${failed[*]:-none}; skipped: ${skipped[*]:-none}"
[ ${#failed[@]} = 0 ] && [ ${#passed[@]} != 0 ]
