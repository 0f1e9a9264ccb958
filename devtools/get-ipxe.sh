#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: get-ipxe.sh
#
# Unpacks what boots a machine from the network into the cache, and prints its folder:
#
#   ipxe.lkrn   iPXE of Debian 13, which has a driver for our NIC, in the form of a Linux kernel
#
# Nothing of it is installed on this machine. A second run finds what the first has made.

. "$(dirname "$0")/common.sh"

make_all() {
	need_root
	install_packages mmdebstrap debian-archive-keyring
	work=$(mktemp -d "$cache/ipxe.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	say "unpacking iPXE"
	quietly mmdebstrap --variant=extract --format=directory --include=ipxe trixie "$work/tree" \
		"deb [signed-by=$keyring] $(debian_mirror) trixie main" || fail "cannot unpack ipxe of Debian trixie"
	mkdir "$work/ipxe"
	cp "$work/tree/usr/lib/ipxe/ipxe.lkrn" "$work/ipxe/"
	mv "$work/ipxe" "$folder"
}

folder=$cache/ipxe-$(sha256sum "$top/devtools/get-ipxe.sh" | cut -c1-12)
if [ ! -d "$folder" ]; then
	lock_cache
	[ -d "$folder" ] || make_all
fi
echo "$folder"
