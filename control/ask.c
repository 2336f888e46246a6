// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate reload` and `relaygate drain`: ask the running gate through its pinned map `requests`
// and wait for the answer in `instance`. The file names the gate (by its PinDirectory). For
// `reload` it is judged here first, as `check` does; the gate reads the file that it was started
// with, so `reload` refuses another one. One that is stopping is asked nothing: it looks no more.

#include "bpf/instance_reader.h"
#include "config/policy.h"
#include "control/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOOK_NS 20000000
// A gate that lives looks around each 100 ms; while it reads a large file, and on a machine that
// has other work, much later.
#define SILENT_MS 60000

struct asking {
	struct instance_reader reader;
	struct instance_record record;
	const char *directory;
	pid_t gate; // its process, as seen from here
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Is it there, and not about to end?
static bool is_alive(struct asking *asking)
{
	asking->gate = export_instance_owner(asking->directory);
	return asking->gate && strcmp(asking->record.state, "stopped") != 0;
}

static int no_gate(const char *directory)
{
	fprintf(stderr, "relaygate: %s: no gate is running there\n", directory);
	return EXIT_WRONG;
}

static bool is_stopping(const struct instance_record *record)
{
	return strcmp(record->state, "stopping") == 0;
}

static int stopping(const struct asking *asking)
{
	fprintf(stderr,
		"relaygate: the gate (process %d) is stopping: it takes no new sessions, and "
		"nothing else can be asked of it\n",
		(int)asking->gate);
	return EXIT_WRONG;
}

static int begin(struct asking *asking, const char *directory)
{
	char error[EXPORT_ERROR_MAX];

	if (export_instance_open(directory, true, &asking->reader, error)) {
		fprintf(stderr, "relaygate: %s\n", error);
		return EXIT_WRONG;
	}
	asking->directory = directory;
	if (!export_instance_read(&asking->reader, &asking->record) || !is_alive(asking)) {
		export_instance_close(&asking->reader);
		return no_gate(directory);
	}
	if (!is_stopping(&asking->record))
		return EXIT_FINE;
	export_instance_close(&asking->reader);
	return stopping(asking);
}

// Until the number stands in the record at this place.
static int await(struct asking *asking, const counters_u64 *answered, uint64_t number)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	uint64_t end = now_ms() + SILENT_MS;

	for (;;) {
		bool read = export_instance_read(&asking->reader, &asking->record);

		if (read && *answered >= number)
			return EXIT_FINE;
		if (read && !is_alive(asking))
			return no_gate(asking->directory);
		if (read && is_stopping(&asking->record))
			return stopping(asking);
		if (now_ms() > end) {
			fprintf(stderr, "relaygate: the gate (process %d) does not answer\n",
				(int)asking->gate);
			return EXIT_WRONG;
		}
		nanosleep(&look, NULL);
	}
}

static int tell_reload(const struct instance_record *record)
{
	if (strcmp(record->reload_result, "applied") != 0) {
		fprintf(stderr, "%srelaygate: not reloaded: generation %llu goes on\n",
			record->message, (unsigned long long)record->generation);
		return EXIT_WRONG;
	}
	printf("reloaded %s: generation %llu; read and checked in %.3f s, compiled in %.3f s, "
	       "swapped in %.3f s, freed in %.3f s\n",
	       record->file, (unsigned long long)record->generation,
	       (double)record->load_took_us / 1e6, (double)record->compile_took_us / 1e6,
	       (double)record->swap_took_us / 1e6, (double)record->free_took_us / 1e6);
	if (record->restart_needed[0])
		fprintf(stderr, "relaygate: restart needed for: %s\n", record->restart_needed);
	return EXIT_FINE;
}

// Is the file that the gate reads, as its process sees the path, surely another one than this?
static bool is_another_file(const struct asking *asking, const char *path)
{
	const struct instance_record *record = &asking->record;
	char theirs[sizeof(record->file) + 64];
	struct stat ours, other;

	snprintf(theirs, sizeof(theirs), "/proc/%d/%s/%s", (int)asking->gate,
		 record->file[0] == '/' ? "root" : "cwd", record->file);
	return stat(path, &ours) == 0 && stat(theirs, &other) == 0 &&
	       (ours.st_ino != other.st_ino || ours.st_dev != other.st_dev);
}

static int ask_reload(struct asking *asking, const char *path)
{
	uint64_t number;
	int result;

	if (is_another_file(asking, path)) {
		fprintf(stderr,
			"relaygate: %s: not reloaded: the gate reads the file that it was started "
			"with, %s: copy yours there\n",
			path, asking->record.file);
		return EXIT_WRONG;
	}
	number = export_instance_ask_reload(&asking->reader);
	result = await(asking, &asking->record.reload_answered, number);
	return result == EXIT_FINE ? tell_reload(&asking->record) : result;
}

int command_reload(const struct command_options *options)
{
	struct policy *policy = load_and_report(options->config);
	struct asking asking;
	const char *directory;
	int result;

	// A file with faults would be refused, and perhaps does not even say where the gate is.
	if (!policy)
		return EXIT_WRONG;
	directory = policy->gate.pin_directory;
	result = begin(&asking, directory);
	if (result == EXIT_FINE) {
		result = ask_reload(&asking, options->config);
		export_instance_close(&asking.reader);
	}
	policy_destroy(policy);
	return result;
}

int command_drain(const struct command_options *options)
{
	char *directory = instance_directory(options);
	struct asking asking;
	int result;

	if (!directory)
		return EXIT_WRONG;
	result = begin(&asking, directory);
	if (result == EXIT_FINE) {
		uint64_t number = export_instance_ask_drain(&asking.reader, !options->undo);

		result = await(&asking, &asking.record.drain_answered, number);
		if (result == EXIT_FINE)
			printf("%s\n", asking.record.state);
		export_instance_close(&asking.reader);
	}
	free(directory);
	return result;
}
