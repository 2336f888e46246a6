#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vmlinux.sh BPFTOOL FALLBACK OUT: the running kernel's types as a C header, or our own short one
# where the kernel (or the sandbox that builds) offers none.
set -eu
bpftool=$1 fallback=$2 out=$3
btf=/sys/kernel/btf/vmlinux
if [ -r "$btf" ] && "$bpftool" btf dump file "$btf" format c >"$out.new" 2>/dev/null &&
	grep -q 'struct bpf_iter__bpf_map_elem {' "$out.new"; then
	mv "$out.new" "$out"
else
	rm -f "$out.new"
	cp "$fallback" "$out"
fi
