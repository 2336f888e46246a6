// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate run`: waits for signals while the worker works, adds counters up, drains and stops.
// What there is to start and in which order is instance.c's.

#include "config/policy.h"
#include "control/commands.h"
#include "control/instance.h"
#include "control/standing.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
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

static void refuse_reload(struct standing *standing)
{
	static const char message[] = "this version reads its configuration at start only; "
				      "restart it";

	fprintf(stderr, "relaygate: not reloaded: %s\n", message);
	snprintf(standing->next.reload_result, sizeof(standing->next.reload_result), "refused");
	snprintf(standing->next.message, sizeof(standing->next.message), "%s\n", message);
	standing->next.reloads_refused++;
	standing_answer_reload(standing);
}

static void serve(struct instance *instance, const sigset_t *set)
{
	struct standing *standing = instance_standing(instance);

	for (;;) {
		int number = next_signal(set);

		instance_sum(instance);
		if (is_stop(number))
			return;
		if (standing_reload_asked(standing) || number == SIGHUP)
			refuse_reload(standing);
	}
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
	struct policy *policy = load_and_report(options->config);
	struct instance *instance;

	if (!policy)
		return EXIT_WRONG;
	// Before any thread exists, so that all of them leave the signals to this one.
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	instance = instance_start(policy, error);
	if (!instance) {
		fprintf(stderr, "relaygate: %s\n", error);
		policy_destroy(policy);
		return EXIT_WRONG;
	}
	printf("relaygate: ready: %u connectors, %u ports, counters in %s\n",
	       policy->connector_count, policy->port_count, policy->gate.pin_directory);
	fflush(stdout);
	sd_notify(0, "READY=1");
	serve(instance, &set);
	sd_notify(0, "STOPPING=1");
	standing_enter(instance_standing(instance), "stopping");
	printf("relaygate: stopping: no new connections, up to %u s for running transactions\n",
	       policy->gate.drain_timeout_ms / 1000);
	fflush(stdout);
	drain(instance, &set, policy->gate.drain_timeout_ms);
	instance_stop(instance);
	policy_destroy(policy);
	printf("relaygate: stopped\n");
	return EXIT_FINE;
}
