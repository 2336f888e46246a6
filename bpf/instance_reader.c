// SPDX-License-Identifier: BSD-3-Clause
//
// See instance_reader.h. A copy counts if the record's sequence was even before it and the same
// after it.
#include "bpf/instance_reader.h"

#include "bpf/message.h"
#include "bpf/pinned_rows.h"
#include "bpf/pins.h"
#include <string.h>
#include <sys/mman.h>

#define READ_TRIES 1000

int export_instance_open(const char *directory, bool ask, struct instance_reader *reader,
			 char error[EXPORT_ERROR_MAX])
{
	struct pinned_rows record = {0}, requests = {0};
	int result;

	error[0] = '\0';
	message_capture();
	*reader = (struct instance_reader){0};
	result =
		pinned_rows_map(directory, "instance", sizeof(*reader->record), PROT_READ, &record);
	if (result == 0 && ask)
		result = pinned_rows_map(directory, "requests", sizeof(*reader->requests),
					 PROT_READ | PROT_WRITE, &requests);
	reader->record = record.rows;
	reader->requests = requests.rows;
	if (result == 0)
		return 0;
	export_instance_close(reader);
	return pinned_rows_failed(error, result, directory, "open the instance's record");
}

void export_instance_close(struct instance_reader *reader)
{
	if (reader->record)
		munmap((void *)(uintptr_t)reader->record, sizeof(*reader->record));
	if (reader->requests)
		munmap(reader->requests, sizeof(*reader->requests));
	*reader = (struct instance_reader){0};
}

pid_t export_instance_owner(const char *directory)
{
	return pins_lock_owner(directory);
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
