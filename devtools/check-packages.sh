#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: check-packages.sh [--build | --try]
#
# Builds Debian packages, for the release of this machine, of this checkout as it stands, and lets
# lintian look at them. Then installs them in a clean root of the release and tries them there
# (try-packages.sh). With --build only the first half, with --try the second. The packages stay in the
# cache; their folder is printed.

. "$(dirname "$0")/common.sh"
. "$top/devtools/roots.sh"

folder=$cache/packages

build_all() {
	local path=$PATH
	say "building the packages"
	rm -rf "$folder"
	copy_checkout "$folder/dpdk-emudev"
	[ ! -d /usr/lib/ccache ] || path=/usr/lib/ccache:$PATH
	# The tests are run elsewhere, with what the packages are not built with.
	cd "$folder/dpdk-emudev"
	PATH=$path DEB_BUILD_OPTIONS=nocheck quietly dpkg-buildpackage --build=binary \
		--unsigned-changes || fail "dpkg-buildpackage"
}

look_at_all() {
	say "lintian"
	quietly lintian --allow-root --fail-on=error,warning "$folder"/*.changes ||
		fail "lintian does not like the packages"
}

try_all() {
	mirror=$(debian_mirror)
	make_clean_root "$(codename)" || fail "$mirror does not give a root"
	use_packages "$(codename)" "$folder"
}

builders=("${build_packages[@]}" "${doc_packages[@]}" build-essential debhelper lintian git)
case "$*" in
"") steps=(build_all look_at_all try_all) needed=("${builders[@]}" mmdebstrap) ;;
--build) steps=(build_all look_at_all) needed=("${builders[@]}") ;;
--try) steps=(try_all) needed=(mmdebstrap debian-archive-keyring) ;;
*) fail "usage: check-packages.sh [--build | --try]" ;;
esac
need_root
install_packages "${needed[@]}"
mkdir -p "$cache"
exec {lock}>"$cache/packages.lock"
flock "$lock"
for step in "${steps[@]}"; do
	"$step"
done
say "done"
echo "$folder"
