// SPDX-License-Identifier: BSD-3-Clause
//
// What a structure-aware target reads: four bytes of configuration, then operations. What an
// operation does is the target's; here are its form on disk and the mutator, which knows that form:
// it inserts, removes, repeats and swaps whole operations, puts boundary values into fields and
// texts of the target's into their bytes, so that every input it makes is well formed. A file that
// is cut or foreign is read as far as it goes.
#ifndef RELAYGATE_TESTS_FUZZ_OPERATIONS_H
#define RELAYGATE_TESTS_FUZZ_OPERATIONS_H

#include "dataplane/base/cursor.h"

#define OPERATION_CONFIGURATION 4  // bytes before the first operation
#define OPERATION_BYTES         16 // of one on disk, without what follows it

struct operation {
	uint8_t kind;
	uint8_t who;
	uint8_t choice;
	uint8_t flags;     // of TCP
	uint8_t place;     // what delta counts from
	uint8_t ack_place; // what ack_delta counts from
	uint8_t options;   // bits of enum operation_options
	uint8_t length;    // of bytes
	int16_t delta, ack_delta;
	uint16_t window;
	uint16_t size;
	struct slice bytes; // in the input; in network byte order behind the fields
};

// TCP options of a segment. MSS is the operation's size, the scale its choice.
enum operation_options {
	OPERATION_MSS = 1,
	OPERATION_SCALE = 2,
	OPERATION_SACK_PERMITTED = 4,
	OPERATION_NO_TIMESTAMPS = 8, // although they were agreed; in a SYN: not offered
	OPERATION_SACK = 16,         // blocks: a signed 16-bit offset and a 16-bit length each
	OPERATION_RAW_OPTIONS = 32,  // the bytes are the options
	OPERATION_OLD_TIME = 64,     // TSval moved by delta of the ACK number
	OPERATION_BAD_CHECKSUM = 128,
};

// What the mutator must know of a target. Each target defines one.
struct operation_grammar {
	const uint8_t *kinds; // to draw from: what stands there twice comes twice as often
	unsigned kind_count;
	const char *const *texts; // for the bytes
	unsigned text_count;
};
extern const struct operation_grammar operation_grammar;

// The next operation; false at the end.
bool operation_next(struct cursor *cursor, struct operation *operation);

// The operation's TCP options into a header: buffer has room for 40 bytes, the length is returned.
// echo and time are of the timestamps option, used when timestamps is true; the blocks of
// OPERATION_SACK are relative to `base`.
struct operation_time {
	bool timestamps;
	uint32_t value, echo;
};
uint8_t operation_write_options(const struct operation *operation, bool syn,
				struct operation_time time, uint32_t base, uint8_t buffer[40]);

// libFuzzer's.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
