// SPDX-License-Identifier: BSD-3-Clause
//
// Is a pinned map one that this program would make? Compared by what a reader and a writer rely on:
// the map's kind, key, flags, and each field of its value by name, place and type, from the BTF
// that the kernel keeps with the map. The number of entries is told apart: rows of an equal layout
// can be carried over into a map of another size.
#ifndef RELAYGATE_BPF_LAYOUT_H
#define RELAYGATE_BPF_LAYOUT_H

#include <bpf/libbpf.h>

enum layout_match {
	LAYOUT_UNREADABLE, // errno says why: reading a map's BTF takes CAP_SYS_ADMIN
	LAYOUT_DIFFERS,    // another program's or another version's map
	LAYOUT_RESIZED,    // same rows, another number of them
	LAYOUT_SAME,
};

// Compares the map open as fd with what map (not yet loaded, its entries set) asks for.
enum layout_match layout_compare(int fd, const struct bpf_map *map, const struct btf *btf);

#endif
