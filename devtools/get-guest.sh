#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: get-guest.sh
#
# Prepares QEMU with vfio-user and Linux guests in the cache, and prints their folder:
#
#   qemu-system-x86_64      starts QEMU, which stands in a tree of its own below qemu/
#   6.12/{vmlinuz,initrd}   kernel of Debian 13, 6.1/... that of Debian 12: both stock, with the
#                           stock iavf driver, and busybox, lspci, ethtool, iproute2 and iperf3 of
#                           the release
#   */vmlinux               the kernel unpacked, which boots sooner where the processor is emulated
#   newest/...              the newest kernel that Debian has packaged, with the programs of Debian 13
#   5.10/...                that of Debian 11, whose driver knows only the first VLAN messages;
#                           where one of the two cannot be had a file "missing" says why
#   */release               the kernel's release, the version of its package, and the suite
#   dpdk.cpio               testpmd and net_iavf of Debian 13, to be appended to an initrd of its
#
# Nothing of it is installed on this machine. A second run finds what the first has made.

. "$(dirname "$0")/common.sh"

# Releases before "merged /usr" have some of them without usr/.
tools=(usr/bin/lspci usr/bin/iperf3 usr/sbin/ethtool usr/bin/ip usr/sbin/tc usr/sbin/bridge)
modules=(iavf pktgen macvlan 8021q bridge bonding veth vxlan geneve ip_gre vfio_pci vfio_iommu_type1
	sch_ingress sch_mqprio cls_flower act_gact)
# Debian's 6.1 has no driver for a virtio-iommu.
virtio_modules=(virtio_pci virtio_iommu virtio_net)
# Where the newest kernel may be. What it comes with is Debian 13's.
newest_suites=(trixie-backports testing unstable)
# What packages want for building, or for their scripts, which are not run.
not_needed=(libdpdk-dev python3 initramfs-tools dracut)
# What lspci names in the guest: Intel, QEMU, Red Hat, and the device classes.
names='8086|1234|1b36|C'
guest_content=linux-image-amd64,busybox-static,pciutils,iperf3,ethtool,iproute2

sources() {
	printf "deb [signed-by=$keyring] $mirror %s main\n" "$@"
}

# debian_tree FOLDER PACKAGES SUITE [SUITE2 PREFERRED]: unpacks packages with what they need, of the
# first suite; those that the pattern PREFERRED names are of the second.
debian_tree() {
	local folder=$1 packages=$2 lines
	readarray -t lines < <(sources "${@:3:2}")
	printf 'Package: *\nPin: release %s\nPin-Priority: 900\n\n' "$3" >"$work/preferences"
	printf "Package: ${5:-*}\nPin: release %s\nPin-Priority: 950\n\n" "${4:-$3}" \
		>>"$work/preferences"
	printf 'Package: %s\nStatus: install ok installed\nMaintainer: nobody\nArchitecture: amd64
Version: 9999\n\n' "${not_needed[@]}" >"$work/status"
	quietly mmdebstrap --variant=extract --format=directory --include="$packages" \
		--setup-hook="install -D -m 644 '$work/preferences' \"\$1/etc/apt/preferences\"" \
		--setup-hook="install -D -m 644 '$work/status' \"\$1/var/lib/dpkg/status\"" \
		"$3" "$folder" "${lines[@]}" || fail "cannot unpack $packages of Debian ${*:3:2}"
	rm "$work/preferences" "$work/status"
	# Debian 13 packages have everything below usr/ and count on links that base-files makes.
	local name
	for name in bin sbin lib lib64; do
		[ -e "$folder/$name" ] || ln -s "usr/$name" "$folder/$name"
	done
}

# QEMU learned vfio-user in 10.1: Debian 13 has it in its backports.
make_qemu() {
	say "unpacking QEMU"
	debian_tree "$work/qemu" qemu-system-x86 trixie trixie-backports '*'
	rm -rf "$work/qemu/usr/share/"{doc,man,locale,icons} "$work/qemu/var"
	# The tree's own loader and libraries: no chroot, nothing to install.
	cat >"$work/qemu-system-x86_64" <<-'END'
		#!/bin/sh
		tree=$(dirname "$0")/qemu
		# Or it would find those of another QEMU that is installed.
		export QEMU_MODULE_DIR="$tree/usr/lib/x86_64-linux-gnu/qemu"
		exec "$tree/lib64/ld-linux-x86-64.so.2" \
			--library-path "$tree/usr/lib/x86_64-linux-gnu" \
			"$tree/usr/bin/qemu-system-x86_64" \
			-L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" "$@"
	END
	chmod +x "$work/qemu-system-x86_64"
	"$work/qemu-system-x86_64" -device help | grep -q '"vfio-user-pci"' ||
		fail "no vfio-user-pci in $("$work/qemu-system-x86_64" --version | head -n 1)"
}

# The libraries of a program, found by the loader of its own tree.
libraries() {
	local tree=$1 program=$2
	"$tree/lib64/ld-linux-x86-64.so.2" --list --library-path \
		"$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu" "$tree/$program" |
		awk '$2 == "=>" { print $3 }'
}

copy_libraries() {
	local tree=$1 initrd=$2 library
	for library in $(libraries "$tree" "$3"); do
		cp -L "$library" "$initrd/usr/lib/x86_64-linux-gnu/"
	done
}

copy_tools() {
	local tree=$1 initrd=$2 tool
	mkdir -p "$initrd"/{bin,sbin,usr/bin,usr/sbin,lib64,usr/lib/x86_64-linux-gnu,usr/share/misc}
	cp "$tree/bin/busybox" "$initrd/bin/"
	cp -L "$tree/lib64/ld-linux-x86-64.so.2" "$initrd/lib64/"
	for tool in "${tools[@]}"; do
		[ -e "$tree/$tool" ] || tool=${tool#usr/}
		cp "$tree/$tool" "$initrd/usr/bin/"
		copy_libraries "$tree" "$initrd" "$tool"
	done
	# glibc loads this one by itself, when a thread is cancelled.
	cp -L "$tree/lib/x86_64-linux-gnu/libgcc_s.so.1" "$initrd/usr/lib/x86_64-linux-gnu/"
	awk -v wanted="^($names) " '/^[^\t#]/ { take = $0 ~ wanted } take' \
		"$tree/usr/share/misc/pci.ids" >"$initrd/usr/share/misc/pci.ids"
}

# Modules with what they depend on, uncompressed: that is quicker for an emulated CPU.
copy_modules() {
	local tree=$1 initrd=$2 release=$3 module path
	shift 3
	local folder=$initrd/lib/modules/$release
	mkdir -p "$folder"
	depmod -b "$tree" "$release"
	for module in "${modules[@]}" "$@"; do
		modprobe -d "$tree" -S "$release" --show-depends "$module" >"$work/needed" &&
			[ -s "$work/needed" ] || fail "kernel $release has no module $module"
		# What is built into one kernel may be a module of another.
		awk '$1 == "insmod" { print $2 }' "$work/needed" >"$work/paths"
		while read -r path; do
			cp "$path" "$folder/"
		done <"$work/paths"
	done
	find "$folder" -name '*.xz' -exec xz -d {} +
	[ -z "$(find "$folder" -name '*.ko.*')" ] || fail "modules of $release are packed anew"
	cp "$tree/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$folder/"
	depmod -b "$initrd" "$release"
	rm "$work/needed" "$work/paths"
}

# make_guest NAME [MODULE...]: a guest of the kernel in the tree.
make_guest() {
	local guest=$work/$1 tree=$work/tree initrd=$work/initrd release image
	release=$(basename "$tree"/lib/modules/*)
	mkdir -p "$guest" "$initrd"/{proc,sys,dev,tmp,root}
	# Newer packages have the kernel beside its modules.
	image=$tree/boot/vmlinuz-$release
	[ -e "$image" ] || image=$tree/lib/modules/$release/vmlinuz
	cp "$image" "$guest/vmlinuz"
	"$top/devtools/unpack-kernel.py" "$guest/vmlinuz" "$guest/vmlinux"
	copy_tools "$tree" "$initrd"
	copy_modules "$tree" "$initrd" "$release" "${@:2}"
	install -m 755 "$top/devtools/guest-init" "$initrd/init"
	archive "$initrd" "$guest/initrd"
	echo "$release" >"$guest/release"
	rm -rf "$tree" "$initrd"
}

archive() {
	(cd "$1" && find . | cpio --quiet -o -H newc -R 0:0) >"$2"
}

# make_release_guest NAME SUITE [MODULE...]: a guest of a release of Debian, NAME is that of its kernel.
make_release_guest() {
	say "making the guest with Linux $1"
	debian_tree "$work/tree" "$guest_content" "$2"
	make_guest "$1" "${@:3}"
	[[ $(cat "$work/$1/release") == "$1".* ]] || fail "Debian $2 has no Linux $1 any more"
}

# Kernels in the suites by their lists of packages, the newest first: lines "VERSION SUITE". Suites that
# cannot be read are left out.
newest_kernels() {
	local apt=$work/apt
	mkdir -p "$apt"/{lists,archives}/partial
	sources "${newest_suites[@]}" >"$apt/sources"
	local options=(-o Dir::State::Lists="$apt/lists" -o Dir::State::status=/dev/null
		-o Dir::Cache="$apt" -o Dir::Etc::SourceList="$apt/sources"
		-o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null
		-o Dir::Etc::PreferencesParts=/dev/null -o APT::Sandbox::User=root)
	apt-get -qq "${options[@]}" update >&2 || true
	apt-cache "${options[@]}" madison linux-image-amd64 |
		sed -n 's/^.* | *\([^ ]*\) | [^ ]* \(.*\)\/main amd64 Packages$/\1 \2/p' | sort -rV
	rm -rf "$apt"
}

# make_newest_guest VERSION SUITE
make_newest_guest() {
	say "making the guest with the newest kernel: Linux $1 of Debian $2"
	debian_tree "$work/tree" "$guest_content" trixie "$2" 'linux-*'
	make_guest newest "${virtio_modules[@]}"
	echo "$(cat "$work/newest/release") $1 $2" >"$work/newest/release"
}

# Debian 11 leaves the archive one day. Programs of a later release do with its kernel.
make_oldest_guest_if_possible() {
	local status
	set +e
	(
		set -e
		say "making the guest with Linux 5.10"
		debian_tree "$work/tree" "$guest_content" bookworm bullseye 'linux-*' </dev/null
		make_guest 5.10
		[[ $(cat "$work/5.10/release") == 5.10.* ]] || fail "Debian 11 has no Linux 5.10"
	)
	status=$?
	set -e
	[ $status != 0 ] || return 0
	rm -rf "$work"/{5.10,tree,initrd,preferences,status}
	say "skipped: no guest with Linux 5.10"
	mkdir "$work/5.10"
	echo "Debian 11 could not be had; remove $folder to try again" >"$work/5.10/missing"
}

# A mirror may lack what is newest, or have a suite that nobody renews any more, of which nothing is
# unpacked: then the next is taken, and without any all else has to do.
make_newest_guest_if_possible() {
	local version suite status
	say "looking for the newest kernel in ${newest_suites[*]}"
	while read -r version suite; do
		# In a shell of its own, which may end early. Not as a condition: "set -e" holds in it.
		set +e
		(
			set -e
			make_newest_guest "$version" "$suite" </dev/null
		)
		status=$?
		set -e
		[ $status != 0 ] || return 0
		rm -rf "$work"/{newest,tree,initrd,preferences,status}
	done < <(newest_kernels)
	say "skipped: no guest with the newest kernel"
	mkdir "$work/newest"
	echo "no kernel in ${newest_suites[*]} could be had; remove $folder to try again" \
		>"$work/newest/missing"
}

# Only what testpmd needs to forward packets of a NIC: its libraries, which drivers are among that it is
# linked with, and a folder of links to those drivers that it is to load.
make_dpdk() {
	local tree=$work/tree initrd=$work/initrd folder=usr/lib/x86_64-linux-gnu drivers name
	say "unpacking DPDK for a guest"
	debian_tree "$tree" dpdk-dev,librte-mempool-ring25 trixie
	drivers=$(basename "$tree/$folder"/dpdk/pmds-*)
	mkdir -p "$initrd/usr/bin" "$initrd/$folder/dpdk/$drivers"
	cp "$tree/usr/bin/dpdk-testpmd" "$initrd/usr/bin/"
	copy_libraries "$tree" "$initrd" usr/bin/dpdk-testpmd
	for name in bus_pci bus_vdev mempool_ring net_iavf; do
		name=$(basename "$tree/$folder/librte_$name".so.*.*)
		cp -L "$tree/$folder/$name" "$initrd/$folder/${name%.*}"
		copy_libraries "$tree" "$initrd" "$folder/$name"
		ln -s "../../${name%.*}" "$initrd/$folder/dpdk/$drivers/$name"
	done
	archive "$initrd" "$work/dpdk.cpio"
	rm -rf "$tree" "$initrd"
}

make_all() {
	need_root
	install_packages "${guest_packages[@]}"
	mirror=$(debian_mirror)
	work=$(mktemp -d "$cache/guest.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	make_qemu
	make_dpdk
	make_release_guest 6.12 trixie "${virtio_modules[@]}"
	make_release_guest 6.1 bookworm
	make_oldest_guest_if_possible
	make_newest_guest_if_possible
	chmod 755 "$work"
	mv "$work" "$folder"
}

# The folder's name tells which recipe made it. Other checkouts may use others.
recipe=$(cat "$top"/devtools/{get-guest.sh,guest-init,unpack-kernel.py} | sha256sum | cut -c1-12)
folder=$cache/guest-$recipe
if [ ! -d "$folder" ]; then
	lock_cache
	[ -d "$folder" ] || make_all
fi
touch "$folder"
find "$cache" -maxdepth 1 -name 'guest-*' -mtime +30 -exec rm -rf {} +
echo "$folder"
