// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of gate/half_open in virtual time: when SYN-ACKs are sent again, when an entry goes, what
// is refused, and random use against a plain list.
#include "dataplane/gate/half_open.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_US 1000000ull

static const struct hash_key key = {{1, 2, 3}};

static uint32_t hash_of(const struct tuple *tuple)
{
	return (uint32_t)hash_tuple(&key, tuple);
}

static struct half_open_entry entry_of(unsigned number, bool second_kind)
{
	struct half_open_entry entry = {
		.tuple = {.local_port = 25, .remote_port = (uint16_t)number},
		.link = {.peer = {2, 0, 0, 0, 0, 1}, .port = 3},
		.handshake = {.client_isn = number,
			      .our_isn = ~number,
			      .has_entry = second_kind,
			      .options = {.mss = 1460, .window_scale = 7}},
	};
	uint8_t remote[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	entry.tuple.remote = address_from_ipv4(remote);
	entry.tuple.local = address_from_ipv4((uint8_t[]){192, 0, 2, 10});
	return entry;
}

static void test_schedule(void **state)
{
	struct half_open *half_open = half_open_create(4);
	uint64_t start_us = 5 * SECOND_US + 17;
	struct half_open_entry entry = entry_of(1, true);
	assert_true(half_open_next_us(half_open) == UINT64_MAX);
	assert_int_equal(half_open_insert(half_open, &entry, hash_of(&entry.tuple), start_us),
			 HALF_OPEN_KEPT);
	static const unsigned due_s[] = {1, 3, 7, 15};
	for (unsigned i = 0; i < 4; i++) {
		uint64_t due_us = start_us + due_s[i] * SECOND_US;
		assert_true(half_open_next_us(half_open) == due_us);
		assert_null(half_open_expire(half_open, due_us - 1));
		const struct half_open_entry *due = half_open_expire(half_open, due_us);
		assert_non_null(due);
		assert_memory_equal(due, &entry, sizeof(entry));
		assert_null(half_open_expire(half_open, due_us));
	}
	uint64_t end_us = start_us + 31 * SECOND_US;
	assert_true(half_open_next_us(half_open) == end_us);
	assert_null(half_open_expire(half_open, end_us - 1));
	assert_non_null(half_open_find(half_open, &entry.tuple, hash_of(&entry.tuple)));
	assert_null(half_open_expire(half_open, end_us));
	assert_null(half_open_find(half_open, &entry.tuple, hash_of(&entry.tuple)));
	assert_int_equal(half_open_count(half_open), 0);
	assert_true(half_open_next_us(half_open) == UINT64_MAX);
	half_open_destroy(half_open);
}

static void test_marks(void **state)
{
	static const struct {
		uint32_t entries, second_kind;
	} cases[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 3}, {8, 6}, {100, 75}, {1000, 750}};
	for (unsigned c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
		struct half_open *half_open = half_open_create(cases[c].entries);
		for (unsigned i = 0; i < cases[c].entries + 5; i++) {
			struct half_open_entry second = entry_of(i, true);
			struct half_open_entry first = entry_of(i, false);
			bool offered = i < cases[c].second_kind;
			assert_int_equal(half_open_offers_options(half_open), offered);
			assert_int_equal(
				half_open_insert(half_open, &second, hash_of(&second.tuple), 0),
				offered ? HALF_OPEN_KEPT : HALF_OPEN_REFUSED);
			bool room = i < cases[c].entries;
			if (!room && cases[c].entries > cases[c].second_kind)
				continue; // test_oldest_makes_room
			// A SYN that is sent again takes no more room, however full it is.
			assert_int_equal(
				half_open_insert(half_open, &first, hash_of(&first.tuple), 0),
				room ? HALF_OPEN_KEPT : HALF_OPEN_REFUSED);
			if (offered)
				half_open_insert(half_open, &second, hash_of(&second.tuple), 0);
			assert_int_equal(half_open_count(half_open),
					 room ? i + 1 : cases[c].entries);
		}
		half_open_destroy(half_open);
	}
	half_open_destroy(NULL);
}

// The oldest SYN of the first kind, whatever its stage; the second kind is never given up.
static void test_oldest_makes_room(void **state)
{
	struct half_open *half_open = half_open_create(8);
	for (unsigned i = 0; i < 8; i++) {
		struct half_open_entry entry = entry_of(i, i % 2 == 0 && i < 6);
		assert_int_equal(half_open_insert(half_open, &entry, hash_of(&entry.tuple), i),
				 HALF_OPEN_KEPT);
	}
	// All but the newest two have their SYN-ACK sent again; the oldest is the oldest still.
	while (half_open_expire(half_open, SECOND_US + 5))
		;
	for (unsigned i = 8; i < 30; i++) {
		static const unsigned first_kind[] = {1, 3, 5, 6, 7};
		unsigned oldest = i < 13 ? first_kind[i - 8] : i - 5;
		struct half_open_entry entry = entry_of(i, false);
		struct tuple gone = entry_of(oldest, false).tuple;
		assert_non_null(half_open_find(half_open, &gone, hash_of(&gone)));
		assert_int_equal(
			half_open_insert(half_open, &entry, hash_of(&entry.tuple), 2 * SECOND_US),
			HALF_OPEN_KEPT_FOR_OLDEST);
		assert_null(half_open_find(half_open, &gone, hash_of(&gone)));
		assert_non_null(half_open_find(half_open, &entry.tuple, hash_of(&entry.tuple)));
		assert_int_equal(half_open_count(half_open), 8);
	}
	for (unsigned i = 0; i < 6; i += 2) {
		struct tuple kept = entry_of(i, true).tuple;
		assert_non_null(half_open_find(half_open, &kept, hash_of(&kept)));
	}
	half_open_destroy(half_open);
}

static enum half_open_result insert(struct half_open *half_open, unsigned number, bool proven)
{
	struct half_open_entry entry = entry_of(number, false);

	entry.proven = proven;
	return half_open_insert(half_open, &entry, hash_of(&entry.tuple), number);
}

static bool is_kept(const struct half_open *half_open, unsigned number)
{
	struct tuple tuple = entry_of(number, false).tuple;

	return half_open_find(half_open, &tuple, hash_of(&tuple)) != NULL;
}

// Strangers displace strangers; so do proven sources up to an eighth of the cache, then one
// another. Full of proven sources' entries only, it gives up the oldest of those.
static void test_proven_stay(void **state)
{
	struct half_open *half_open = half_open_create(16);

	assert_int_equal(insert(half_open, 0, true), HALF_OPEN_KEPT);
	for (unsigned i = 1; i < 16; i++)
		assert_int_equal(insert(half_open, i, false), HALF_OPEN_KEPT);
	for (unsigned i = 16; i < 100; i++)
		assert_int_equal(insert(half_open, i, false), HALF_OPEN_KEPT_FOR_OLDEST);
	assert_true(is_kept(half_open, 0) && is_kept(half_open, 85));
	assert_false(is_kept(half_open, 84));
	assert_int_equal(insert(half_open, 100, true), HALF_OPEN_KEPT_FOR_OLDEST);
	assert_true(is_kept(half_open, 0) && !is_kept(half_open, 85));
	assert_int_equal(insert(half_open, 101, true), HALF_OPEN_KEPT_FOR_OLDEST);
	assert_true(!is_kept(half_open, 0) && is_kept(half_open, 86) && is_kept(half_open, 100));
	// A repeated SYN changes queues with its kind.
	assert_int_equal(insert(half_open, 100, false), HALF_OPEN_KEPT);
	assert_int_equal(insert(half_open, 102, true), HALF_OPEN_KEPT_FOR_OLDEST);
	assert_true(!is_kept(half_open, 86) && is_kept(half_open, 101));
	assert_int_equal(half_open_count(half_open), 16);
	half_open_destroy(half_open);

	half_open = half_open_create(16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(insert(half_open, i, true), HALF_OPEN_KEPT);
	assert_int_equal(insert(half_open, 16, false), HALF_OPEN_KEPT_FOR_OLDEST);
	assert_true(!is_kept(half_open, 0) && is_kept(half_open, 1) && is_kept(half_open, 16));
	half_open_destroy(half_open);
}

static struct half_open_entry entry_from(const char *address, unsigned number)
{
	struct half_open_entry entry = entry_of(number & 0xffff, false);
	struct address *remote = &entry.tuple.remote;
	const char *why;

	assert_int_equal(address_parse(address, remote, &why), 0);
	// Hosts of the network.
	remote->bytes[14] = (uint8_t)(number >> 8);
	remote->bytes[15] = (uint8_t)number;
	return entry;
}

// A flood out of few networks, however fast, displaces its own entries only: those of others stay
// to be answered again, whether they came before it or in its midst. Out of everywhere, or out of
// their own network, it displaces them.
static void test_networks_keep_theirs(void **state)
{
	static const struct {
		const char *floods[2], *others[2];
		bool kept;
	} rows[] = {
		{{"203.0.0.0", "203.0.0.0"}, {"198.51.0.0", "2001:db8:1::"}, true},
		{{"203.0.0.0", "198.18.0.0"}, {"198.51.0.0", "10.1.0.0"}, true},
		{{"2001:db8:bad::", "2001:db8:bad:1::"}, {"2001:db8:1::", "192.0.0.0"}, true},
		{{"203.0.0.0", "203.0.0.0"}, {"203.0.0.0", "203.0.0.0"}, false},
		{{NULL, NULL}, {"198.51.0.0", "2001:db8:1::"}, false},
	};
	enum { ENTRIES = 1024, FLOOD = 20000, OTHERS = 10, EACH = FLOOD / 2 / OTHERS };

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct half_open *half_open = half_open_create(ENTRIES);
		struct half_open_entry others[OTHERS];
		unsigned kept = 0, more = 0;

		for (unsigned i = 0; i < FLOOD; i++) {
			struct half_open_entry entry;
			char everywhere[16];

			snprintf(everywhere, sizeof(everywhere), "%u.%u.0.0", 1 + i * 7 % 200,
				 i * 11 % 256);
			if (i % EACH == 0 && more < OTHERS) {
				struct half_open_entry *other = &others[more];

				*other = entry_from(rows[row].others[more % 2], 0xfff0 + more);
				half_open_insert(half_open, other, hash_of(&other->tuple), i);
				more++;
			}
			entry = entry_from(
				rows[row].floods[0] ? rows[row].floods[i % 2] : everywhere, i);
			assert_int_equal(
				half_open_insert(half_open, &entry, hash_of(&entry.tuple), i),
				i + more >= ENTRIES ? HALF_OPEN_KEPT_FOR_OLDEST : HALF_OPEN_KEPT);
			assert_non_null(
				half_open_find(half_open, &entry.tuple, hash_of(&entry.tuple)));
		}
		for (unsigned i = 0; i < OTHERS; i++)
			kept += half_open_find(half_open, &others[i].tuple,
					       hash_of(&others[i].tuple)) != NULL;
		assert_int_equal(kept, rows[row].kept ? OTHERS : 0);
		assert_int_equal(half_open_count(half_open), ENTRIES);
		half_open_destroy(half_open);
	}
}

static void test_replacement_starts_again(void **state)
{
	struct half_open *half_open = half_open_create(4);
	struct half_open_entry old = entry_of(1, false), new = entry_of(1, false);
	new.handshake.client_isn = 77;
	assert_int_equal(half_open_insert(half_open, &old, hash_of(&old.tuple), 0), HALF_OPEN_KEPT);
	assert_non_null(half_open_expire(half_open, 1 * SECOND_US));
	assert_int_equal(half_open_insert(half_open, &new, hash_of(&new.tuple), 2 * SECOND_US),
			 HALF_OPEN_KEPT);
	assert_int_equal(half_open_count(half_open), 1);
	assert_int_equal(
		half_open_find(half_open, &old.tuple, hash_of(&old.tuple))->handshake.client_isn,
		77);
	assert_null(half_open_expire(half_open, 3 * SECOND_US - 1));
	assert_int_equal(half_open_expire(half_open, 3 * SECOND_US)->handshake.client_isn, 77);
	half_open_remove(half_open, &old.tuple, hash_of(&old.tuple));
	half_open_remove(half_open, &old.tuple, hash_of(&old.tuple));
	assert_int_equal(half_open_count(half_open), 0);
	assert_null(half_open_expire(half_open, 100 * SECOND_US));
	half_open_destroy(half_open);
}

// ---- Against a plain list --------------------------------------------------------------------

enum { TUPLES = 60, ENTRIES = 40 };

struct twin {
	bool present[TUPLES];
	bool second_kind[TUPLES];
	unsigned order[TUPLES]; // of its SYN
	unsigned sent[TUPLES];  // SYN-ACKs beyond the first
	uint64_t due_us[TUPLES];
	unsigned count;
	unsigned inserted, repeated, forgotten, given_up; // over the whole test
};

static unsigned twin_oldest(const struct twin *twin)
{
	unsigned oldest = TUPLES;
	for (unsigned i = 0; i < TUPLES; i++)
		if (twin->present[i] && !twin->second_kind[i] &&
		    (oldest == TUPLES || twin->order[i] < twin->order[oldest]))
			oldest = i;
	assert_true(oldest < TUPLES);
	return oldest;
}

static void twin_insert(struct twin *twin, struct half_open *half_open, unsigned i, uint64_t now_us)
{
	struct half_open_entry entry = entry_of(i, random() % 2);
	bool second = entry.handshake.has_entry;
	enum half_open_result expected = HALF_OPEN_KEPT;
	// As the pipeline does: above the mark the second kind is not offered, to nobody.
	if (second && twin->count >= ENTRIES * 3 / 4)
		second = entry.handshake.has_entry = false;
	if (!twin->present[i] && twin->count == ENTRIES) {
		unsigned oldest = twin_oldest(twin);
		twin->present[oldest] = false;
		twin->count--;
		twin->given_up++;
		expected = HALF_OPEN_KEPT_FOR_OLDEST;
	}
	assert_int_equal(half_open_insert(half_open, &entry, hash_of(&entry.tuple), now_us),
			 expected);
	twin->count += !twin->present[i];
	twin->second_kind[i] = second;
	twin->order[i] = twin->inserted++;
	twin->present[i] = true;
	twin->sent[i] = 0;
	twin->due_us[i] = now_us + SECOND_US;
}

static void twin_expire(struct twin *twin, struct half_open *half_open, uint64_t now_us)
{
	const struct half_open_entry *entry;
	while ((entry = half_open_expire(half_open, now_us))) {
		unsigned i = entry->handshake.client_isn;
		assert_true(twin->present[i] && twin->due_us[i] <= now_us && twin->sent[i] < 4);
		twin->sent[i]++;
		twin->due_us[i] = now_us + (SECOND_US << twin->sent[i]);
		twin->repeated++;
	}
	uint64_t next_us = UINT64_MAX;
	for (unsigned i = 0; i < TUPLES; i++) {
		if (twin->present[i] && twin->due_us[i] <= now_us) {
			assert_int_equal(twin->sent[i], 4);
			twin->present[i] = false;
			twin->count--;
			twin->forgotten++;
		}
		if (twin->present[i] && twin->due_us[i] < next_us)
			next_us = twin->due_us[i];
	}
	assert_true(half_open_next_us(half_open) == next_us);
}

static void test_against_plain_list(void **state)
{
	struct twin twin = {0};
	struct half_open *half_open = half_open_create(ENTRIES);
	uint64_t now_us = 0;
	srandom(8);
	for (unsigned step = 0; step < 100000; step++) {
		unsigned i = (unsigned)random() % TUPLES;
		struct tuple tuple = entry_of(i, false).tuple;
		switch (random() % 6) {
		case 0:
			half_open_remove(half_open, &tuple, hash_of(&tuple));
			twin.count -= twin.present[i];
			twin.present[i] = false;
			break;
		case 1:
		case 2:
			twin_insert(&twin, half_open, i, now_us);
			break;
		case 3:
			now_us += (uint64_t)random() % (step % 1000 < 500 ? 100000 : 5 * SECOND_US);
			twin_expire(&twin, half_open, now_us);
			break;
		default:
			assert_int_equal(half_open_find(half_open, &tuple, hash_of(&tuple)) != NULL,
					 twin.present[i]);
		}
		assert_int_equal(half_open_count(half_open), twin.count);
	}
	assert_true(twin.repeated > 1000 && twin.forgotten > 50 && twin.given_up > 100);
	half_open_destroy(half_open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schedule),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_oldest_makes_room),
		cmocka_unit_test(test_proven_stay),
		cmocka_unit_test(test_networks_keep_theirs),
		cmocka_unit_test(test_replacement_starts_again),
		cmocka_unit_test(test_against_plain_list),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
