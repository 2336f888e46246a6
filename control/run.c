// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate run`: waits for signals while the worker works, adds counters up, drains and stops.
// What there is to start and in which order is instance.c's.

#include "config/policy.h"
#include "control/commands.h"
#include "control/file_watch.h"
#include "control/instance.h"
#include "control/standing.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define SUM_INTERVAL_NS 100000000

static sigset_t watched_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return set;
}

// The next signal, or 0 after one interval.
static int next_signal(const sigset_t *set)
{
	struct timespec interval = {.tv_nsec = SUM_INTERVAL_NS};
	int number = sigtimedwait(set, NULL, &interval);

	return number > 0 ? number : 0;
}

static bool is_stop(int number)
{
	return number == SIGTERM || number == SIGINT;
}

struct service {
	struct instance *instance;
	struct standing *standing;
	struct file_watch watch;
	struct stat taken; // of the file, from before it was read last
	bool closed;       // on request: no new sessions
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// Before the file is read. Whatever happens to it from now on is a change.
static struct stat look_at_file(const char *path)
{
	struct stat found;

	return stat(path, &found) == 0 ? found : (struct stat){0};
}

// AutoReload may have changed; the file may.
static void watch_file(struct service *service)
{
	const struct policy *policy = instance_policy(service->instance);
	int result;

	file_watch_close(&service->watch);
	if (!policy->gate.auto_reload)
		return;
	result = file_watch_open(&service->watch, policy->file, &service->taken);
	if (result)
		fprintf(stderr, "relaygate: AutoReload: %s cannot be watched: %s\n", policy->file,
			strerror(-result));
}

static void do_reload(struct service *service, const char *cause)
{
	struct standing *standing = service->standing;
	struct stat found = look_at_file(instance_policy(service->instance)->file);

	// To the microsecond: of a time before its signal the manager would think that it means
	// another reload, and wait on.
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_us());
	if (instance_reload(service->instance, cause) == 0) {
		printf("relaygate: reloaded (%s): generation %llu, %u connectors\n", cause,
		       (unsigned long long)standing->next.generation,
		       instance_policy(service->instance)->connector_count);
		service->taken = found;
		watch_file(service);
	} else {
		fprintf(stderr, "relaygate: not reloaded (%s): generation %llu goes on\n", cause,
			(unsigned long long)standing->next.generation);
	}
	fflush(stdout);
	sd_notify(0, "READY=1");
	standing_answer_reload(standing);
}

static void look_for_reload(struct service *service, int number)
{
	bool changed = file_watch_changed(&service->watch, now_us() / 1000);

	if (standing_reload_asked(service->standing))
		do_reload(service, "request");
	else if (number == SIGHUP)
		do_reload(service, "signal");
	else if (changed)
		do_reload(service, "file");
}

static void look_at_door(struct service *service)
{
	const char *state = "running";
	bool closed;

	if (standing_drain_asked(service->standing, &closed)) {
		service->closed = closed;
		instance_close_door(service->instance, closed);
		printf("relaygate: %s\n",
		       closed ? "draining on request: no new sessions" : "new sessions again");
		fflush(stdout);
		standing_enter(service->standing, closed ? "draining" : "running");
		standing_answer_drain(service->standing);
		return;
	}
	if (service->closed)
		state = instance_drained(service->instance) ? "drained" : "draining";
	if (strcmp(service->standing->next.state, state) != 0)
		standing_enter(service->standing, state);
}

static void serve(struct instance *instance, const struct stat *taken, const sigset_t *set)
{
	struct service service = {
		.taken = *taken,
		.instance = instance,
		.standing = instance_standing(instance),
		.watch.descriptor = -1,
	};

	watch_file(&service);
	for (;;) {
		int number = next_signal(set);

		instance_sum(instance);
		if (is_stop(number))
			break;
		look_for_reload(&service, number);
		look_at_door(&service);
	}
	file_watch_close(&service.watch);
}

// New connections are refused, running transactions finish; a second one of these signals, or
// DrainTimeout, ends what is left.
static void drain(struct instance *instance, const sigset_t *set, uint32_t timeout_ms)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms / 1000;
	instance_drain(instance, false);
	while (!instance_drained(instance)) {
		bool again = is_stop(next_signal(set));

		instance_sum(instance);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (!again && now.tv_sec <= end.tv_sec)
			continue;
		instance_drain(instance, true);
		// The last replies leave before the port closes.
		next_signal(set);
		next_signal(set);
		break;
	}
}

int command_run(const struct command_options *options)
{
	char error[INSTANCE_ERROR_MAX];
	sigset_t set = watched_signals();
	struct stat taken = look_at_file(options->config);
	struct policy *policy = load_and_report(options->config);
	struct instance *instance;
	uint32_t drain_timeout_ms;

	if (!policy)
		return EXIT_WRONG;
	// Before any thread exists, so that all of them leave the signals to this one.
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	instance = instance_start(policy, error);
	if (!instance) {
		fprintf(stderr, "relaygate: %s\n", error);
		return EXIT_WRONG;
	}
	printf("relaygate: ready: %u connectors, %u ports, counters in %s\n",
	       policy->connector_count, policy->port_count, policy->gate.pin_directory);
	fflush(stdout);
	sd_notify(0, "READY=1");
	serve(instance, &taken, &set);
	drain_timeout_ms = instance_policy(instance)->gate.drain_timeout_ms;
	sd_notify(0, "STOPPING=1");
	standing_enter(instance_standing(instance), "stopping");
	printf("relaygate: stopping: no new connections, up to %u s for running transactions; "
	       "a second signal ends them\n",
	       drain_timeout_ms / 1000);
	fflush(stdout);
	drain(instance, &set, drain_timeout_ms);
	instance_stop(instance);
	printf("relaygate: stopped\n");
	return EXIT_FINE;
}
