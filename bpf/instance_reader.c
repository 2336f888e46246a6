// SPDX-License-Identifier: BSD-3-Clause
//
// See instance_reader.h. A copy counts if the record's sequence was even before it and the same
// after it.
#include "bpf/instance_reader.h"

#include "bpf/message.h"
#include "bpf/pins.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define READ_TRIES 1000

static int map_row(const char *directory, const char *name, size_t bytes, int protection,
		   void **row)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	int fd = pins_open_map(directory, name), result = 0;

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		result = -errno;
	else if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != bytes)
		result = -EPROTO;
	if (result == 0) {
		*row = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
		if (*row == MAP_FAILED)
			result = -errno;
	}
	close(fd);
	return result;
}

int export_instance_open(const char *directory, bool ask, struct instance_reader *reader,
			 char error[EXPORT_ERROR_MAX])
{
	void *record = NULL, *requests = NULL;
	int result;

	error[0] = '\0';
	message_capture();
	*reader = (struct instance_reader){0};
	result = map_row(directory, "instance", sizeof(*reader->record), PROT_READ, &record);
	if (result == 0)
		reader->record = record;
	if (result == 0 && ask)
		result = map_row(directory, "requests", sizeof(*reader->requests),
				 PROT_READ | PROT_WRITE, &requests);
	if (result == 0 && ask)
		reader->requests = requests;
	if (result == 0)
		return 0;
	export_instance_close(reader);
	if (result == -ENOENT)
		return message_set(error, result,
				   "%s: no gate has run here: is PinDirectory the right one?",
				   directory);
	if (result == -EPROTO || result == -EEXIST)
		return message_set(error, -EPROTO, "%s: the gate there is of another version",
				   directory);
	return message_failed(error, result, directory, "open the instance's record");
}

void export_instance_close(struct instance_reader *reader)
{
	if (reader->record)
		munmap((void *)(uintptr_t)reader->record, sizeof(*reader->record));
	if (reader->requests)
		munmap(reader->requests, sizeof(*reader->requests));
	*reader = (struct instance_reader){0};
}

bool export_instance_read(const struct instance_reader *reader, struct instance_record *copy)
{
	for (unsigned i = 0; i < READ_TRIES; i++) {
		uint64_t before = __atomic_load_n(&reader->record->sequence, __ATOMIC_ACQUIRE);

		memcpy(copy, reader->record, sizeof(*copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (before % 2 == 0 &&
		    __atomic_load_n(&reader->record->sequence, __ATOMIC_RELAXED) == before)
			return true;
	}
	return false;
}

uint64_t export_instance_ask_reload(const struct instance_reader *reader)
{
	return __atomic_add_fetch(&reader->requests->reload, 1, __ATOMIC_RELEASE);
}

uint64_t export_instance_ask_drain(const struct instance_reader *reader, bool drain)
{
	__atomic_store_n(&reader->requests->drain_wanted, drain, __ATOMIC_RELAXED);
	return __atomic_add_fetch(&reader->requests->drain, 1, __ATOMIC_RELEASE);
}
