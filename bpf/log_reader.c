// SPDX-License-Identifier: BSD-3-Clause
//
// A worker's ring is log_records long; how many rings the map holds follows from the maps of
// reasons beside it: the workers' rows over the totals'. For each ring the next record is copied
// ahead, and the oldest of these heads is handed out. A record counts only if its sequence number
// was the expected one before and after the copy (see counters.h).
#include "bpf/log_reader.h"

#include "bpf/message.h"
#include "bpf/pins.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct ring {
	const struct log_record *records;
	uint64_t next; // sequence number to read
	bool ready;    // head holds record next - 1, not handed out yet
	struct log_record head;
};

struct log_reader {
	char *directory;
	uint32_t map_id;
	const struct log_record *records;
	size_t bytes;
	unsigned ring_records; // of one worker
	unsigned workers;
	uint64_t lost;
	struct ring rings[];
};

static int map_info(int fd, struct bpf_map_info *info)
{
	__u32 size = sizeof(*info);

	*info = (struct bpf_map_info){0};
	return bpf_obj_get_info_by_fd(fd, info, &size) < 0 ? -errno : 0;
}

static int pinned_entries(const char *directory, const char *name, unsigned *entries)
{
	int fd = pins_open_map(directory, name), result;
	struct bpf_map_info info;

	if (fd < 0)
		return fd;
	result = map_info(fd, &info);
	*entries = info.max_entries;
	close(fd);
	return result;
}

static int count_workers(const char *directory, unsigned *workers)
{
	unsigned rows, reasons;
	int result = pinned_entries(directory, "reasons_worker", &rows);

	if (result == 0)
		result = pinned_entries(directory, "reasons", &reasons);
	if (result)
		return result;
	if (reasons == 0 || rows % reasons != 0)
		return -EPROTO;
	*workers = rows / reasons;
	return 0;
}

static uint64_t load_sequence(const struct log_record *record)
{
	return __atomic_load_n(&record->sequence, __ATOMIC_ACQUIRE);
}

static uint64_t newest_sequence(const struct log_reader *log, const struct ring *ring)
{
	uint64_t newest = 0;

	for (unsigned i = 0; i < log->ring_records; i++) {
		uint64_t sequence = load_sequence(&ring->records[i]);

		if (sequence > newest)
			newest = sequence;
	}
	return newest;
}

// The oldest record that is still in a ring whose newest is this one.
static uint64_t oldest_sequence(const struct log_reader *log, uint64_t newest)
{
	return newest > log->ring_records ? newest - log->ring_records + 1 : 1;
}

static int map_log(int fd, unsigned workers, const char *directory, struct log_reader **out)
{
	struct log_reader *log;
	struct bpf_map_info info;
	size_t size;
	int result = map_info(fd, &info);

	if (result)
		return result;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(struct log_record) ||
	    workers == 0 || info.max_entries % workers != 0)
		return -EPROTO;
	// A ring holds a record, which is aligned to a cache line.
	size = sizeof(*log) + workers * sizeof(log->rings[0]);
	log = aligned_alloc(_Alignof(struct log_reader), size);
	if (!log)
		return -ENOMEM;
	memset(log, 0, size);
	log->bytes = (size_t)info.max_entries * info.value_size;
	log->records = mmap(NULL, log->bytes, PROT_READ, MAP_SHARED, fd, 0);
	log->directory = strdup(directory);
	if (log->records == MAP_FAILED || !log->directory) {
		result = log->directory ? -errno : -ENOMEM;
		if (log->records != MAP_FAILED)
			munmap((void *)(uintptr_t)log->records, log->bytes);
		free(log->directory);
		free(log);
		return result;
	}
	log->map_id = info.id;
	log->workers = workers;
	log->ring_records = info.max_entries / workers;
	*out = log;
	return 0;
}

static void find_starts(struct log_reader *log)
{
	for (unsigned worker = 0; worker < log->workers; worker++) {
		struct ring *ring = &log->rings[worker];

		ring->records = log->records + (size_t)worker * log->ring_records;
		ring->next = oldest_sequence(log, newest_sequence(log, ring));
	}
}

int export_log_open(const char *directory, struct log_reader **out, char error[EXPORT_ERROR_MAX])
{
	unsigned workers;
	int fd, result;

	error[0] = '\0';
	message_capture();
	result = count_workers(directory, &workers);
	if (result == 0) {
		// Not with BPF_F_RDONLY: the kernel maps no descriptor that was opened so. Only the
		// mapping is read-only.
		fd = pins_open_map(directory, "log");
		result = fd < 0 ? fd : map_log(fd, workers, directory, out);
		if (fd >= 0)
			close(fd);
	}
	if (result == -ENOENT)
		return message_set(error, result,
				   "%s: no log is pinned there: was the gate ever started?",
				   directory);
	if (result == -EPROTO || result == -EEXIST)
		return message_set(error, -EPROTO, "%s: holds the log of another version",
				   directory);
	if (result)
		return message_failed(error, result, directory, "open the log");
	find_starts(*out);
	return 0;
}

// Copies this record; false when it is not there, or was overwritten meanwhile.
static bool copy_record(const struct log_reader *log, struct ring *ring, uint64_t sequence)
{
	const struct log_record *record = &ring->records[sequence % log->ring_records];

	if (load_sequence(record) != sequence)
		return false;
	ring->head = *record;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&record->sequence, __ATOMIC_RELAXED) == sequence;
}

// Copies the next record that is there whole. A place that does not hold what comes next holds the
// record of a lap ago (nothing new), or is being written, or the writer has lapped us or died in
// it: if a newer record exists, ours is lost.
static bool fetch(struct log_reader *log, struct ring *ring)
{
	while (!copy_record(log, ring, ring->next)) {
		const struct log_record *place = &ring->records[ring->next % log->ring_records];
		uint64_t newest, oldest;

		if (load_sequence(place) + log->ring_records == ring->next)
			return false;
		newest = newest_sequence(log, ring);
		if (newest < ring->next)
			return false;
		// It was written, perhaps since we looked; if it is not there now, it is gone.
		if (copy_record(log, ring, ring->next))
			break;
		oldest = oldest_sequence(log, newest);
		if (oldest <= ring->next)
			oldest = ring->next + 1;
		log->lost += oldest - ring->next;
		ring->next = oldest;
	}
	ring->next++;
	return true;
}

bool export_log_next(struct log_reader *log, struct log_record *record, unsigned *worker)
{
	struct ring *first = NULL;

	for (unsigned i = 0; i < log->workers; i++) {
		struct ring *ring = &log->rings[i];

		if (!ring->ready)
			ring->ready = fetch(log, ring);
		if (ring->ready && (!first || ring->head.wall_us < first->head.wall_us))
			first = ring;
	}
	if (!first)
		return false;
	*record = first->head;
	if (worker)
		*worker = (unsigned)(first - log->rings);
	first->ready = false;
	return true;
}

void export_log_skip(struct log_reader *log)
{
	for (unsigned worker = 0; worker < log->workers; worker++) {
		struct ring *ring = &log->rings[worker];

		ring->next = newest_sequence(log, ring) + 1;
		ring->ready = false;
	}
}

uint64_t export_log_lost(const struct log_reader *log)
{
	return log->lost;
}

bool export_log_replaced(const struct log_reader *log)
{
	int fd = pins_open_map(log->directory, "log");
	struct bpf_map_info info;
	bool same;

	if (fd < 0)
		return true;
	same = map_info(fd, &info) == 0 && info.id == log->map_id;
	close(fd);
	return !same;
}

void export_log_close(struct log_reader *log)
{
	if (!log)
		return;
	munmap((void *)(uintptr_t)log->records, log->bytes);
	free(log->directory);
	free(log);
}
