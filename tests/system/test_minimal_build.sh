#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 3000
# long: yes
#
# A machine that has only Debian 12: the smallest debootstrap, then scripts/deps build, the build
# and the unit tests inside it; the build goes without the kernel's BTF. Proves that scripts/deps
# names everything. Mounts live in a namespace of their own and vanish with it.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)

if [[ ${1:-} != inside ]]; then
	work=$(mktemp -d /tmp/relaygate-minimal.XXXXXX)
	trap 'rm -rf --one-file-system "$work"' EXIT
	trap 'exit 1' TERM INT
	# In the background, so that a signal is taken while it runs.
	unshare --mount --pid --fork --kill-child --propagation private \
		"$0" inside "$work/debian" &
	wait $!
	exit
fi

debian=$2
# The mirror of this machine.
site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' \
	'Release: bookworm' | head -n 1)
debootstrap --variant=minbase bookworm "$debian" "$site"

apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' \
	'Origin: Debian' | grep ' bookworm' | sort -u >"$debian/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::(http|https|Retries|Check)' \
	>"$debian/etc/apt/apt.conf.d/90machine" || true
cp /etc/resolv.conf /etc/hosts "$debian/etc/"
mount --bind "$debian" "$debian" # "/" is a mount point, as on a machine
mount -t proc proc "$debian/proc"
mount -t sysfs -o ro sysfs "$debian/sys"
mount -t tmpfs tmpfs "$debian/sys/kernel/btf"
mount -t bpf bpf "$debian/sys/fs/bpf"
mount --rbind /dev "$debian/dev"

mkdir "$debian/src"
tar -C "$root" --exclude='./build*' --exclude=./.git -c . | tar -C "$debian/src" -x

inside() { chroot "$debian" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
	PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
inside /src/scripts/deps build
inside meson setup /src/build /src
inside ninja -C /src/build
umount "$debian/sys/kernel/btf" # the tests run on this kernel, with all that it has
inside meson test -C /src/build --no-rebuild --suite unit --print-errorlogs
inside /src/build/control/relaygate --version
