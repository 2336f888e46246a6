// SPDX-License-Identifier: BSD-3-Clause
//
// Walks two BTF types side by side. Covers what counters.h can express: structs of integers and of
// arrays of them, through typedefs and qualifiers. Any other kind counts as a difference.
#include "bpf/layout.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <string.h>

#define DEPTH_MAX 8 // counters.h nests two deep; a bound so that no foreign BTF recurses on

static bool same_type(const struct btf *a, __u32 a_id, const struct btf *b, __u32 b_id, int depth);

static bool same_members(const struct btf *a, const struct btf_type *a_type, const struct btf *b,
			 const struct btf_type *b_type, int depth)
{
	const struct btf_member *a_member = btf_members(a_type), *b_member = btf_members(b_type);

	if (a_type->size != b_type->size || btf_vlen(a_type) != btf_vlen(b_type))
		return false;
	for (unsigned i = 0; i < btf_vlen(a_type); i++) {
		if (strcmp(btf__name_by_offset(a, a_member[i].name_off),
			   btf__name_by_offset(b, b_member[i].name_off)) != 0 ||
		    btf_member_bit_offset(a_type, i) != btf_member_bit_offset(b_type, i) ||
		    !same_type(a, a_member[i].type, b, b_member[i].type, depth + 1))
			return false;
	}
	return true;
}

static bool same_type(const struct btf *a, __u32 a_id, const struct btf *b, __u32 b_id, int depth)
{
	int a_resolved = btf__resolve_type(a, a_id), b_resolved = btf__resolve_type(b, b_id);
	const struct btf_type *a_type, *b_type;

	if (depth > DEPTH_MAX || a_resolved < 0 || b_resolved < 0)
		return false;
	a_type = btf__type_by_id(a, a_resolved);
	b_type = btf__type_by_id(b, b_resolved);
	if (btf_kind(a_type) != btf_kind(b_type))
		return false;
	if (btf_is_struct(a_type))
		return same_members(a, a_type, b, b_type, depth);
	if (btf_is_array(a_type))
		return btf_array(a_type)->nelems == btf_array(b_type)->nelems &&
		       same_type(a, btf_array(a_type)->type, b, btf_array(b_type)->type, depth + 1);
	if (btf_is_int(a_type))
		return a_type->size == b_type->size &&
		       btf_int_encoding(a_type) == btf_int_encoding(b_type);
	return false;
}

enum layout_match layout_compare(int fd, const struct bpf_map *map, const struct btf *btf)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	struct btf *pinned;
	bool same;

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0 || info.type != bpf_map__type(map) ||
	    info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    info.map_flags != bpf_map__map_flags(map) || !info.btf_id)
		return LAYOUT_DIFFERS;
	pinned = btf__load_from_kernel_by_id(info.btf_id);
	if (!pinned)
		return LAYOUT_UNREADABLE;
	same = same_type(pinned, info.btf_value_type_id, btf, bpf_map__btf_value_type_id(map), 0);
	btf__free(pinned);
	if (!same)
		return LAYOUT_DIFFERS;
	return info.max_entries == bpf_map__max_entries(map) ? LAYOUT_SAME : LAYOUT_RESIZED;
}
