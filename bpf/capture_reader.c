// SPDX-License-Identifier: BSD-3-Clause
//
// A place in a ring that holds the sequence number that is due holds the next record; a smaller one
// is of a lap ago, 0 is being written, a larger one means that the writer has lapped us.
#include "bpf/capture_reader.h"

#include "bpf/message.h"
#include "bpf/pinned_rows.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct capture_reader {
	struct capture_order *order; // shared with the workers
	const struct capture_record *records;
	size_t bytes;
	unsigned workers;
	unsigned turn; // the worker that is asked first
	uint64_t serial;
	counters_u64 lease_us; // as it was extended last
	uint64_t lost;
	bool begun;
	uint64_t next[]; // sequence number, of each worker
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int capture_reader_open(const char *directory, struct capture_reader **out,
			char error[EXPORT_ERROR_MAX])
{
	struct pinned_rows order = {0}, records = {0};
	struct capture_reader *reader = NULL;
	unsigned workers;
	int result;

	message_capture();
	result = pinned_rows_map(directory, "capture", sizeof(*reader->order),
				 PROT_READ | PROT_WRITE, &order);
	if (result == 0)
		result = pinned_rows_map(directory, "captured", sizeof(*reader->records), PROT_READ,
					 &records);
	workers = records.entries / CAPTURE_RECORDS;
	if (result == 0) {
		reader = calloc(1, sizeof(*reader) + workers * sizeof(reader->next[0]));
		result = reader ? 0 : -ENOMEM;
	}
	if (result) {
		pinned_rows_unmap(&records);
		pinned_rows_unmap(&order);
		return pinned_rows_failed(error, result, directory, "open the capture");
	}
	reader->order = order.rows;
	reader->records = records.rows;
	reader->bytes = records.bytes;
	reader->workers = workers;
	*out = reader;
	return 0;
}

// Unless another process has it already.
static void give_up(struct capture_order *order, counters_u64 lease_us)
{
	counters_u64 owner = (counters_u64)getpid();

	__atomic_compare_exchange_n(&order->lease_us, &lease_us, 0, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	__atomic_compare_exchange_n(&order->owner, &owner, 0, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
}

void capture_reader_close(struct capture_reader *reader)
{
	if (!reader)
		return;
	if (reader->begun)
		give_up(reader->order, reader->lease_us);
	munmap(reader->order, sizeof(*reader->order));
	munmap((void *)(uintptr_t)reader->records, reader->bytes);
	free(reader);
}

static const struct capture_record *place_of(const struct capture_reader *reader, unsigned worker,
					     uint64_t sequence)
{
	return &reader->records[(size_t)worker * CAPTURE_RECORDS + sequence % CAPTURE_RECORDS];
}

static uint64_t sequence_at(const struct capture_record *place)
{
	return __atomic_load_n(&place->sequence, __ATOMIC_ACQUIRE);
}

// Behind what former captures left.
static void find_starts(struct capture_reader *reader)
{
	for (unsigned worker = 0; worker < reader->workers; worker++) {
		uint64_t newest = 0;

		for (unsigned i = 0; i < CAPTURE_RECORDS; i++) {
			uint64_t sequence = sequence_at(place_of(reader, worker, i));

			if (sequence > newest)
				newest = sequence;
		}
		reader->next[worker] = newest + 1;
	}
}

static counters_u64 extend(struct capture_order *order)
{
	counters_u64 lease_us = now_us() + CAPTURE_LEASE_US;

	__atomic_store_n(&order->lease_us, lease_us, __ATOMIC_RELAXED);
	return lease_us;
}

// The lease comes first: whoever finds an owner finds one whose lease is not over.
static bool take_over(struct capture_order *order, counters_u64 *owner)
{
	*owner = __atomic_load_n(&order->owner, __ATOMIC_ACQUIRE);
	if (*owner && __atomic_load_n(&order->lease_us, __ATOMIC_RELAXED) > now_us())
		return false;
	extend(order);
	return __atomic_compare_exchange_n(&order->owner, owner, (counters_u64)getpid(), false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

int capture_reader_begin(struct capture_reader *reader, const struct capture_order *order,
			 char error[EXPORT_ERROR_MAX])
{
	struct capture_order *shared = reader->order;
	counters_u64 owner = 0;

	if (!take_over(shared, &owner))
		return message_set(error, -EBUSY, "process %llu captures already", owner);
	reader->begun = true;
	// No order before had this one, whatever its owner left there when it died.
	reader->serial = now_us();
	find_starts(reader);
	// No worker may take half an order for a whole one.
	__atomic_store_n(&shared->serial, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	shared->snap = order->snap;
	shared->reason = order->reason;
	shared->dropped = order->dropped;
	memcpy(shared->connector, order->connector, sizeof(shared->connector));
	shared->program_length = order->program_length;
	memcpy(shared->program, order->program, sizeof(shared->program));
	capture_reader_renew(reader);
	__atomic_store_n(&shared->serial, reader->serial, __ATOMIC_RELEASE);
	return 0;
}

bool capture_reader_renew(struct capture_reader *reader)
{
	if (__atomic_load_n(&reader->order->owner, __ATOMIC_ACQUIRE) != (uint64_t)getpid())
		return false;
	reader->lease_us = extend(reader->order);
	return true;
}

// As much of the record as is used; false when it changed meanwhile.
static bool copy_record(const struct capture_record *place, uint64_t sequence,
			struct capture_record *record)
{
	memcpy(record, place, offsetof(struct capture_record, data));
	if (record->captured > CAPTURE_DATA_BYTES)
		return false;
	memcpy(record->data, place->data, record->captured);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&place->sequence, __ATOMIC_RELAXED) == sequence;
}

static bool next_of(struct capture_reader *reader, unsigned worker, struct capture_record *record)
{
	uint64_t *next = &reader->next[worker];

	for (;;) {
		const struct capture_record *place = place_of(reader, worker, *next);
		uint64_t sequence = sequence_at(place);

		if (sequence == *next && copy_record(place, sequence, record)) {
			(*next)++;
			if (record->serial == (uint32_t)reader->serial)
				return true;
			continue;
		}
		if (sequence == *next)
			sequence = *next + CAPTURE_RECORDS; // being overwritten right now
		if (sequence < *next)
			return false;
		// The oldest that can be there yet; a lap leaves room for the writer.
		sequence = sequence - CAPTURE_RECORDS + 1 + CAPTURE_RECORDS / 8;
		reader->lost += sequence - *next;
		*next = sequence;
	}
}

bool capture_reader_next(struct capture_reader *reader, struct capture_record *record,
			 unsigned *worker)
{
	for (unsigned i = 0; i < reader->workers; i++) {
		*worker = (reader->turn + i) % reader->workers;
		if (!next_of(reader, *worker, record))
			continue;
		reader->turn = *worker;
		return true;
	}
	return false;
}

uint64_t capture_reader_lost(const struct capture_reader *reader)
{
	return reader->lost;
}
