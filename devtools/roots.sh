# SPDX-License-Identifier: BSD-3-Clause
# How scripts get clean roots of Debian's suites, and run something in them. Sourced after common.sh,
# not run.

# What a suite is made of, as lines for apt: the release, and what mends it.
lines_of() {
	local suite=$1 host
	local signed="deb [signed-by=$keyring]"
	echo "$signed $mirror $suite main"
	[ "$suite" != sid ] || return 0
	host=${mirror%/debian*}
	echo "$signed $host/debian-security $suite-security main"
}

# make_root SUITE FOLDER PACKAGE...: makes the root, or brings it up to date. Fails if the mirror does
# not give it.
make_root() {
	local suite=$1 root=$2 lines
	shift 2
	if [ -d "$root" ]; then
		say "$suite: bringing its root up to date"
		quietly run_in "$root" apt-get -q update &&
			quietly run_in "$root" apt-get -q -y --no-install-recommends full-upgrade &&
			quietly run_in "$root" apt-get -q -y --no-install-recommends install "$@"
		return
	fi
	say "$suite: making a root (some minutes)"
	mapfile -t lines < <(lines_of "$suite")
	rm -rf "$root.new"
	# A mirror may be weeks behind, and what is dated for a week has ended there; it stays signed.
	quietly mmdebstrap --variant=minbase --include="$(IFS=,; echo "$*")" \
		--aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$root.new" \
		"${lines[@]}" && mv "$root.new" "$root" &&
		quietly run_in "$root" apt-get -q update # It comes without lists.
}

# run_in [--clean FOLDER] ROOT COMMAND...: with the devices of this machine. Mounts end with it. With
# --clean the root stays as it is, and the folder is /packages in it.
run_in() {
	local packages=
	if [ "$1" = --clean ]; then
		packages=$2
		shift 2
	fi
	unshare --mount --propagation slave bash -euc '
		root=$1 packages=$2
		shift 2
		if [ -n "$packages" ]; then
			mount -t tmpfs tmpfs /mnt
			mkdir /mnt/{root,upper,work}
			mount -t overlay overlay /mnt/root \
				-o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work"
			root=/mnt/root
			mkdir "$root/packages"
			mount --bind "$packages" "$root/packages"
		else
			mount --bind "$root" "$root"
		fi
		for folder in dev sys; do mount --rbind "/$folder" "$root/$folder"; done
		mount -t proc proc "$root/proc"
		mount --bind /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
		# Who enters a namespace made in there comes to its root: a chroot would be left.
		cd "$root"
		pivot_root . .
		umount -l .
		exec env -i HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' run_in "$1" "$packages" "${@:2}"
}

# copy_checkout FOLDER: this checkout as it stands, but for what git ignores; of a copy without git, all.
copy_checkout() {
	rm -rf "$1"
	mkdir -p "$1"
	(
		cd "$top"
		git -c safe.directory='*' ls-files -z --cached --others --exclude-standard 2>/dev/null ||
			find . -type f -print0
	) | (cd "$top" && tar --null --ignore-failed-read -T - -c) | tar -x -C "$1"
}

# make_clean_root SUITE: one that has none of ours, nor what they are built with.
make_clean_root() {
	make_root "$1" "$cache/root-clean-$1" ca-certificates dpdk-dev gcc libc6-dev pkg-config
}

# use_packages SUITE FOLDER: packages in the folder, in the clean root of the suite.
use_packages() {
	cp "$top"/devtools/{common,try-packages}.sh "$2/"
	run_in --clean "$2" "$cache/root-clean-$1" env EMUDEV_STARTED="$EMUDEV_STARTED" \
		/packages/try-packages.sh
}
