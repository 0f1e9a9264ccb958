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
#
# Nothing of it is installed on this machine. A second run finds what the first has made.

. "$(dirname "$0")/common.sh"

# Releases before "merged /usr" have some of them without usr/.
tools=(usr/bin/lspci usr/bin/iperf3 usr/sbin/ethtool usr/bin/ip usr/sbin/tc usr/sbin/bridge)
modules=(iavf pktgen macvlan 8021q bridge vxlan geneve ip_gre)
# What lspci names in the guest: Intel, QEMU, Red Hat, and the device classes.
names='8086|1234|1b36|C'

# debian_tree FOLDER PACKAGES SUITES [MMDEBSTRAP OPTION...]: unpacks packages with what they need.
debian_tree() {
	local folder=$1 packages=$2 suite lines=()
	for suite in $3; do
		lines+=("deb [signed-by=$keyring] $mirror $suite main")
	done
	quietly mmdebstrap --variant=extract --format=directory --include="$packages" "${@:4}" \
		"${3%% *}" "$folder" "${lines[@]}" || fail "cannot unpack $packages of Debian $3"
	# Debian 13 packages have everything below usr/ and count on links that base-files makes.
	local name
	for name in bin sbin lib lib64; do
		[ -e "$folder/$name" ] || ln -s "usr/$name" "$folder/$name"
	done
}

# QEMU learned vfio-user in 10.1: Debian 13 has it in its backports.
make_qemu() {
	say "unpacking QEMU"
	printf '%s\n' 'Package: *' 'Pin: release n=trixie-backports' 'Pin-Priority: 900' \
		>"$work/preferences"
	debian_tree "$work/qemu" qemu-system-x86 "trixie trixie-backports" \
		--setup-hook="install -D -m 644 '$work/preferences' \"\$1/etc/apt/preferences\""
	rm -rf "$work/qemu/usr/share/"{doc,man,locale,icons} "$work/qemu/var" "$work/preferences"
	# The tree's own loader and libraries: no chroot, nothing to install.
	cat >"$work/qemu-system-x86_64" <<-'END'
		#!/bin/sh
		tree=$(dirname "$0")/qemu
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

copy_tools() {
	local tree=$1 initrd=$2 tool library
	mkdir -p "$initrd"/{bin,sbin,usr/bin,usr/sbin,lib64,usr/lib/x86_64-linux-gnu,usr/share/misc}
	cp "$tree/bin/busybox" "$initrd/bin/"
	cp -L "$tree/lib64/ld-linux-x86-64.so.2" "$initrd/lib64/"
	for tool in "${tools[@]}"; do
		[ -e "$tree/$tool" ] || tool=${tool#usr/}
		cp "$tree/$tool" "$initrd/usr/bin/"
		for library in $(libraries "$tree" "$tool"); do
			cp -L "$library" "$initrd/usr/lib/x86_64-linux-gnu/"
		done
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
	cp "$tree/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$folder/"
	depmod -b "$initrd" "$release"
	rm "$work/needed" "$work/paths"
}

# make_guest NAME SUITE [MODULE...]
make_guest() {
	local guest=$work/$1 tree=$work/tree initrd=$work/initrd release
	say "making the guest with Linux $1"
	debian_tree "$tree" linux-image-amd64,busybox-static,pciutils,iperf3,ethtool,iproute2 "$2"
	release=$(basename "$tree"/lib/modules/"$1".*)
	mkdir -p "$guest" "$initrd"/{proc,sys,dev,tmp,root}
	cp "$tree/boot/vmlinuz-$release" "$guest/vmlinuz"
	copy_tools "$tree" "$initrd"
	copy_modules "$tree" "$initrd" "$release" "${@:3}"
	install -m 755 "$top/devtools/guest-init" "$initrd/init"
	(cd "$initrd" && find . | cpio --quiet -o -H newc -R 0:0) >"$guest/initrd"
	rm -rf "$tree" "$initrd"
}

make_all() {
	need_root
	install_packages "${guest_packages[@]}"
	mirror=$(debian_mirror)
	work=$(mktemp -d "$cache/guest.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	make_qemu
	# Debian's 6.1 has no driver for a virtio-iommu.
	make_guest 6.12 trixie virtio_pci virtio_iommu virtio_net
	make_guest 6.1 bookworm
	chmod 755 "$work"
	mv "$work" "$folder"
}

# The folder's name tells which recipe made it. Other checkouts may use others.
recipe=$(cat "$top/devtools/get-guest.sh" "$top/devtools/guest-init" | sha256sum | cut -c1-12)
folder=$cache/guest-$recipe
if [ ! -d "$folder" ]; then
	lock_cache
	[ -d "$folder" ] || make_all
fi
touch "$folder"
find "$cache" -maxdepth 1 -name 'guest-*' -mtime +30 -exec rm -rf {} +
echo "$folder"
