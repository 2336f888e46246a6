// SPDX-License-Identifier: BSD-3-Clause
//
// See standing.h. The record is copied as a whole between two stores of its sequence, so that a
// reader sees all of a change or nothing.

#include "control/standing.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BODY offsetof(struct instance_record, pid)

static uint64_t wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void standing_init(struct standing *standing, struct instance_record *row,
		   const struct request_record *requests)
{
	*standing = (struct standing){.row = row, .requests = requests};
	standing->reload_seen = __atomic_load_n(&requests->reload, __ATOMIC_ACQUIRE);
	standing->drain_seen = __atomic_load_n(&requests->drain, __ATOMIC_ACQUIRE);
	standing->next.reload_answered = standing->reload_seen;
	standing->next.drain_answered = standing->drain_seen;
	standing->next.pid = (uint64_t)getpid();
	standing->next.started_us = wall_us();
	snprintf(standing->next.build, sizeof(standing->next.build), "%s", RELAYGATE_VERSION);
	standing_enter(standing, "starting");
}

// Nothing of a longer text that stood there before: bpftool prints a field with anything behind its
// NUL as a list of numbers.
static void clear_behind(char *text, size_t size)
{
	size_t length = strnlen(text, size);

	memset(text + length, 0, size - length);
}

static void clear_texts(struct instance_record *next)
{
	clear_behind(next->build, sizeof(next->build));
	clear_behind(next->state, sizeof(next->state));
	clear_behind(next->reload_result, sizeof(next->reload_result));
	clear_behind(next->reload_cause, sizeof(next->reload_cause));
	clear_behind(next->file, sizeof(next->file));
	clear_behind(next->restart_needed, sizeof(next->restart_needed));
	clear_behind(next->message, sizeof(next->message));
}

void standing_publish(struct standing *standing)
{
	struct instance_record *row = standing->row;
	// A former instance may have died while it wrote.
	uint64_t sequence = row->sequence | 1;

	standing->next.alive_us = wall_us();
	clear_texts(&standing->next);
	__atomic_store_n(&row->sequence, sequence, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy((char *)row + BODY, (const char *)&standing->next + BODY, sizeof(*row) - BODY);
	__atomic_store_n(&row->sequence, sequence + 1, __ATOMIC_RELEASE);
}

void standing_enter(struct standing *standing, const char *state)
{
	snprintf(standing->next.state, sizeof(standing->next.state), "%s", state);
	standing_publish(standing);
}

bool standing_reload_asked(struct standing *standing)
{
	uint64_t asked = __atomic_load_n(&standing->requests->reload, __ATOMIC_ACQUIRE);
	bool asks = asked != standing->reload_seen;

	standing->reload_seen = asked;
	return asks;
}

void standing_answer_reload(struct standing *standing)
{
	standing->next.reload_answered = standing->reload_seen;
	standing_publish(standing);
}

bool standing_drain_asked(struct standing *standing, bool *drain)
{
	uint64_t asked = __atomic_load_n(&standing->requests->drain, __ATOMIC_ACQUIRE);
	bool asks = asked != standing->drain_seen;

	standing->drain_seen = asked;
	*drain = __atomic_load_n(&standing->requests->drain_wanted, __ATOMIC_RELAXED) != 0;
	return asks;
}

void standing_answer_drain(struct standing *standing)
{
	standing->next.drain_answered = standing->drain_seen;
	standing_publish(standing);
}
