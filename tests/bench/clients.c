// SPDX-License-Identifier: BSD-3-Clause
//
// Clients over the kernel's TCP, many at once, for what is measured of a mail server or a gate in
// the lab: each says EHLO, MAIL and a RCPT that must be refused, then QUIT; or, with --hold, reads
// the greeting and says nothing more until standard input ends. Fails when a reply is another one
// than it should be. Measures nothing but its own time; its own namespace is the caller's.
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT      25
#define WAIT_MS   30000
#define REPLY_MAX 2048

// What a client waits for, and what it says then. Refused: 5xx, or 4xx where a server defers all.
static const struct {
	const char *expect, *say;
} script[] = {
	{"2", "EHLO host.sender.test\r\n"},
	{"2", "MAIL FROM:<reports@sender.test>\r\n"},
	{"2", "RCPT TO:<customer@foreign.test>\r\n"},
	{"45", "QUIT\r\n"},
	{"2", ""},
};
#define STEPS (sizeof(script) / sizeof(script[0]))

struct client {
	int socket;
	unsigned step;
	size_t length;
	char reply[REPLY_MAX];
};

static struct {
	struct sockaddr_in server;
	uint32_t sessions, concurrent;
	bool hold;
	const char *json;
	struct client *clients;
	int epoll;
	uint32_t begun, done;
} crowd = {.server = {.sin_family = AF_INET}, .sessions = 1000, .concurrent = 200};

static void fail(const char *what)
{
	fprintf(stderr, "bench_clients: session %u of %u: %s\n", crowd.done, crowd.sessions, what);
	exit(1);
}

static void begin(struct client *client)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

	client->step = 0;
	client->length = 0;
	client->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (client->socket < 0 ||
	    (connect(client->socket, (struct sockaddr *)&crowd.server, sizeof(crowd.server)) &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, client->socket, &event))
		fail(strerror(errno));
	crowd.begun++;
}

static void end(struct client *client)
{
	close(client->socket);
	crowd.done++;
	if (crowd.begun < crowd.sessions)
		begin(client);
}

// Whether what was read ends with the last line of a reply.
static bool is_whole(const struct client *client)
{
	const char *text = client->reply, *line = text + client->length;

	if (client->length < 6 || line[-1] != '\n')
		return false;
	for (line -= 2; line > text && line[-1] != '\n';)
		line--;
	return line + 4 <= text + client->length && line[3] == ' ';
}

static void answer(struct client *client)
{
	const char *say = script[client->step].say;

	if (!strchr(script[client->step].expect, client->reply[0]))
		fail(client->reply);
	client->length = 0;
	if (crowd.hold) {
		crowd.done++;
		return;
	}
	if (++client->step < STEPS && write(client->socket, say, strlen(say)) < 0)
		fail(strerror(errno));
}

static void hear(struct client *client)
{
	ssize_t got = read(client->socket, client->reply + client->length,
			   sizeof(client->reply) - 1 - client->length);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got == 0 && client->step == STEPS) {
		end(client);
		return;
	}
	if (got <= 0)
		fail(got ? strerror(errno) : "closed by the other side");
	client->length += (size_t)got;
	client->reply[client->length] = '\0';
	if (is_whole(client) && client->step < STEPS)
		answer(client);
}

static void turn(void)
{
	struct epoll_event events[64];
	int count = epoll_wait(crowd.epoll, events, 64, WAIT_MS);

	if (count <= 0)
		fail(count ? strerror(errno) : "nobody answers");
	for (int i = 0; i < count; i++)
		hear(events[i].data.ptr);
}

// All at once would overrun a server's queue of connections: so many are on their way at most.
static void hold_all(void)
{
	while (crowd.done < crowd.sessions) {
		while (crowd.begun < crowd.sessions && crowd.begun - crowd.done < crowd.concurrent)
			begin(&crowd.clients[crowd.begun]);
		turn();
	}
	printf("held\n");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (uint32_t i = 0; i < crowd.sessions; i++)
		if (recv(crowd.clients[i].socket, crowd.clients[i].reply, 1, MSG_DONTWAIT) == 0)
			fail("closed while it was held");
}

static void talk_all(void)
{
	for (uint32_t i = 0; i < crowd.concurrent && crowd.begun < crowd.sessions; i++)
		begin(&crowd.clients[i]);
	while (crowd.done < crowd.sessions)
		turn();
}

static double seconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static const struct argp_option arguments[] = {
	{"sessions", 'n', "N", 0, "in all", 0},
	{"concurrent", 'c', "N", 0, "at once; with --hold: on their way at once", 0},
	{"hold", 'h', NULL, 0, "only the greeting, and all of them until standard input ends", 0},
	{"json", 'j', "FILE", 0, "figures as JSON", 0},
	{0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	switch (key) {
	case 'n':
		crowd.sessions = (uint32_t)strtoul(value, NULL, 10);
		break;
	case 'c':
		crowd.concurrent = (uint32_t)strtoul(value, NULL, 10);
		break;
	case 'h':
		crowd.hold = true;
		break;
	case 'j':
		crowd.json = value;
		break;
	case ARGP_KEY_ARG:
		if (inet_pton(AF_INET, value, &crowd.server.sin_addr) != 1)
			argp_error(state, "%s is no IPv4 address", value);
		break;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {arguments, parse, "IPV4-ADDRESS", NULL, NULL, NULL, NULL};
	struct rlimit files;
	double begun;
	FILE *json;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	crowd.server.sin_port = htons(PORT);
	files.rlim_cur = files.rlim_max = crowd.sessions + 100;
	if (!crowd.sessions || !crowd.concurrent ||
	    (crowd.hold && setrlimit(RLIMIT_NOFILE, &files)))
		fail("an option is out of range");
	crowd.clients =
		calloc(crowd.hold ? crowd.sessions : crowd.concurrent, sizeof(*crowd.clients));
	crowd.epoll = epoll_create1(0);
	if (!crowd.clients || crowd.epoll < 0)
		fail(strerror(errno));
	begun = seconds(CLOCK_MONOTONIC);
	crowd.hold ? hold_all() : talk_all();
	json = crowd.json ? fopen(crowd.json, "w") : NULL;
	if (json) {
		fprintf(json, "{\"sessions\": %u, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
			crowd.sessions, seconds(CLOCK_MONOTONIC) - begun,
			seconds(CLOCK_PROCESS_CPUTIME_ID));
		fclose(json);
	}
	free(crowd.clients);
	return 0;
}
