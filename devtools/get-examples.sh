#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: get-examples.sh
#
# Builds those of DPDK's examples that the tests run, unchanged, against the installed DPDK, for no
# package has them, and prints the folder of the programs in the cache. The source is that of
# get-driver-sdk.sh.

. "$(dirname "$0")/common.sh"
. "$top/devtools/source.sh"

examples=(l2fwd l3fwd ip_fragmentation)

# unpack VERSION: leaves examples/ in $work.
unpack() {
	if [ -n "${EMUDEV_DPDK_SOURCE:-}" ]; then
		cp -r "$EMUDEV_DPDK_SOURCE/examples" "$work"
	else
		fetch_source "$1"
		tar -xf "$work"/dpdk_*.orig.tar.* -C "$work" --strip-components=1 --wildcards \
			'*/examples'
	fi
}

make_examples() {
	local name
	install_packages "${build_packages[@]}" make
	work=$(mktemp -d "$cache/examples.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	unpack "$1"
	mkdir "$work/programs"
	for name in "${examples[@]}"; do
		say "building DPDK's example $name"
		quietly make -C "$work/examples/$name" shared || fail "cannot build $name"
		cp "$work/examples/$name/build/$name-shared" "$work/programs/$name"
	done
	mv "$work/programs" "$folder"
}

version=$(installed_version) || fail "DPDK is not installed (package libdpdk-dev)"
folder=$cache/examples-$version
if [ ! -d "$folder" ]; then
	lock_cache
	[ -d "$folder" ] || make_examples "$version"
fi
echo "$folder"
