// SPDX-License-Identifier: BSD-3-Clause
//
// The thread that asks DNS lists, and a name server of the test's own on loopback, which answers
// each zone in its way: as a list does, with errors, lies, forgeries, halves, late or never.
// Nothing but what the workers find in the cache, and the counts, is looked at.
#include "control/resolver.h"

#include "dataplane/base/tick.h"
#include "dataplane/io/worker.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 30000
#define ASKED_MAX   1024 // clients that the resolver asks about at once

// ---- The name server -------------------------------------------------------------------------

struct name_server {
	int udp, tcp, stop[2];
	uint16_t port;
	pthread_t thread;
};

struct question {
	const uint8_t *bytes;
	size_t length; // with the question, without what follows it
};

static const uint8_t listed[4] = {127, 0, 0, 2}, elsewhere[4] = {192, 0, 2, 1};
static atomic_uint asked;
static atomic_bool given_up; // late.test may answer: nobody waits for it any more

// The header and the question; then the address, if there is one. Returns the length.
static size_t answer(const struct question *question, unsigned flags, const uint8_t *address,
		     uint8_t reply[512])
{
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4};

	memset(reply, 0, 12);
	memcpy(reply, question->bytes, question->length);
	reply[2] = (uint8_t)(0x81 | flags >> 8);
	reply[3] = (uint8_t)(0x80 | flags);
	memset(reply + 6, 0, 6); // nothing but the question
	if (!address)
		return question->length;
	reply[7] = 1;
	memcpy(reply + question->length, record, sizeof(record));
	memcpy(reply + question->length + sizeof(record), address, 4);
	return question->length + sizeof(record) + 4;
}

static size_t say_listed(const struct question *question, bool tcp, uint8_t reply[512])
{
	return answer(question, ns_r_noerror, listed, reply);
}

static size_t say_absent(const struct question *question, bool tcp, uint8_t reply[512])
{
	return answer(question, ns_r_nxdomain, NULL, reply);
}

static size_t say_failure(const struct question *question, bool tcp, uint8_t reply[512])
{
	return answer(question, ns_r_servfail, NULL, reply);
}

static size_t say_elsewhere(const struct question *question, bool tcp, uint8_t reply[512])
{
	return answer(question, ns_r_noerror, elsewhere, reply);
}

// TC: the whole is to be had over TCP.
static size_t say_cut(const struct question *question, bool tcp, uint8_t reply[512])
{
	return tcp ? say_listed(question, tcp, reply) : answer(question, 0x200, NULL, reply);
}

// One address is announced and none is there.
static size_t say_half(const struct question *question, bool tcp, uint8_t reply[512])
{
	answer(question, ns_r_noerror, listed, reply);
	return question->length;
}

static size_t say_nothing(const struct question *question, bool tcp, uint8_t reply[512])
{
	return 0;
}

static size_t say_late(const struct question *question, bool tcp, uint8_t reply[512])
{
	for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS && !atomic_load(&given_up);
	     waited_ms++)
		usleep(1000);
	return say_listed(question, tcp, reply);
}

static const struct zone {
	const char *name;
	size_t (*say)(const struct question *question, bool tcp, uint8_t reply[512]);
	bool forges; // the opposite comes first, with other ids
	bool lists, fails;
} zones[] = {
	{"listed.test", say_listed, .lists = true},
	{"absent.test", say_absent, .lists = false},
	{"failure.test", say_failure, .fails = true},
	{"elsewhere.test", say_elsewhere, .fails = true},
	{"cut.test", say_cut, .lists = true},
	{"half.test", say_half, .fails = true},
	{"forged.test", say_absent, .forges = true},
	{"silent.test", say_nothing, .lists = false},
	{"late.test", say_late, .lists = true},
};
#define ZONES  (sizeof(zones) / sizeof(zones[0]))
#define SILENT (ZONES - 2)
#define LATE   (ZONES - 1)

static const struct zone *zone_of(const uint8_t *query, size_t length)
{
	for (size_t i = 0; i < ZONES; i++) {
		size_t label = strcspn(zones[i].name, ".");

		for (size_t at = 12; at + label + 1 < length; at += query[at] + 1u)
			if (query[at] == label && memcmp(query + at + 1, zones[i].name, label) == 0)
				return &zones[i];
	}
	return NULL;
}

static size_t end_of_question(const uint8_t *query, size_t length)
{
	size_t at = 12;

	while (at < length && query[at])
		at += query[at] + 1u;
	return at + 5;
}

static void serve_udp(const struct name_server *server)
{
	uint8_t query[512], reply[512];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t length =
		recvfrom(server->udp, query, sizeof(query), 0, (struct sockaddr *)&from, &size);
	const struct zone *zone = length > 12 ? zone_of(query, (size_t)length) : NULL;
	struct question question = {query, 0};
	size_t said;

	if (!zone)
		return;
	atomic_fetch_add(&asked, 1);
	question.length = end_of_question(query, (size_t)length);
	for (unsigned i = 1; zone->forges && i <= 100; i++) {
		said = say_listed(&question, false, reply);
		reply[1] = (uint8_t)(reply[1] + i);
		sendto(server->udp, reply, said, 0, (struct sockaddr *)&from, size);
	}
	said = zone->say(&question, false, reply);
	if (said)
		sendto(server->udp, reply, said, 0, (struct sockaddr *)&from, size);
}

static void serve_tcp(const struct name_server *server)
{
	uint8_t query[514], reply[514];
	int peer = accept(server->tcp, NULL, NULL);
	ssize_t length = peer < 0 ? -1 : recv(peer, query, sizeof(query), 0);
	const struct zone *zone = length > 14 ? zone_of(query + 2, (size_t)length - 2) : NULL;
	struct question question = {query + 2, 0};
	size_t said;

	if (zone) {
		question.length = end_of_question(query + 2, (size_t)length - 2);
		said = zone->say(&question, true, reply + 2);
		reply[0] = (uint8_t)(said >> 8);
		reply[1] = (uint8_t)said;
		assert_int_equal(send(peer, reply, said + 2, MSG_NOSIGNAL), said + 2);
	}
	if (peer >= 0)
		close(peer);
}

static void *serve(void *context)
{
	const struct name_server *server = context;
	struct pollfd polled[] = {
		{server->udp, POLLIN, 0}, {server->tcp, POLLIN, 0}, {server->stop[0], POLLIN, 0}};

	while (poll(polled, 3, -1) > 0 && !polled[2].revents) {
		if (polled[0].revents & POLLIN)
			serve_udp(server);
		if (polled[1].revents & POLLIN)
			serve_tcp(server);
	}
	return NULL;
}

// port: 0 = any.
static void open_server(struct name_server *server, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int on = 1;

	server->udp = socket(AF_INET, SOCK_DGRAM, 0);
	server->tcp = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(server->tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(server->udp, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(server->udp, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(bind(server->tcp, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server->tcp, 8), 0);
	assert_int_equal(pipe(server->stop), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void close_server(struct name_server *server)
{
	close(server->stop[1]);
	pthread_join(server->thread, NULL);
	close(server->stop[0]);
	close(server->udp);
	close(server->tcp);
}

// ---- A gate's side ---------------------------------------------------------------------------

struct scene {
	struct name_server server;
	struct dnsbl_list lists[ZONES];
	struct endpoint address;
	struct policy policy;
	struct resolver *resolver;
	struct resolver_counts counts;
};

// Lists of `count` zones from the first one on.
static void open_scene(struct scene *scene, size_t first, unsigned count, uint32_t timeout_ms)
{
	char error[RESOLVER_ERROR_MAX];

	*scene = (struct scene){0};
	atomic_store(&asked, 0);
	atomic_store(&given_up, false);
	open_server(&scene->server, 0);
	for (unsigned i = 0; i < count; i++)
		scene->lists[i] = (struct dnsbl_list){.zone = (char *)zones[first + i].name};
	scene->address.address = address_from_ipv4((const uint8_t[]){127, 0, 0, 1});
	scene->address.port = scene->server.port;
	scene->policy.dnsbls = scene->lists;
	scene->policy.dnsbl_count = count;
	scene->policy.gate.dns_timeout_ms = timeout_ms;
	scene->policy.gate.dns_servers = &scene->address;
	scene->policy.gate.dns_server_count = 1;
	scene->resolver = resolver_create(&scene->policy, 1, error);
	assert_non_null(scene->resolver);
	assert_int_equal(resolver_launch(scene->resolver, error), 0);
}

static void close_scene(struct scene *scene)
{
	resolver_destroy(scene->resolver);
	close_server(&scene->server);
}

static struct address client_of(unsigned number)
{
	return address_from_ipv4(
		(const uint8_t[]){198, 51, (uint8_t)(number >> 8), (uint8_t)number});
}

static void ask(struct scene *scene, const struct address *client)
{
	assert_true(dnsbl_ask(resolver_dnsbl(scene->resolver), 0, client));
}

static const struct resolver_counts *counts(struct scene *scene)
{
	struct resolver_counts more = resolver_take(scene->resolver);

	scene->counts.dnsbl_timeout += more.dnsbl_timeout;
	scene->counts.dnsbl_failed += more.dnsbl_failed;
	scene->counts.dnsbl_inquiries_full += more.dnsbl_inquiries_full;
	scene->counts.dnsbl_cache_full += more.dnsbl_cache_full;
	return &scene->counts;
}

// What is known of the client once all lists have answered, or will not any more.
static struct dnsbl_answer await(struct scene *scene, const struct address *client)
{
	const uint32_t all = (uint32_t)((1ull << scene->policy.dnsbl_count) - 1);
	struct dnsbl_answer known = {0};

	for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 2) {
		if (dnsbl_find(resolver_dnsbl(scene->resolver), client, worker_now().now_us,
			       &known) &&
		    known.answered == all)
			return known;
		usleep(2000);
	}
	fail_msg("no answer");
	return known;
}

// ---- Tests -----------------------------------------------------------------------------------

// Every zone but the silent one, about an IPv4 and an IPv6 client.
static void test_each_answer(void **state)
{
	static const char *const clients[] = {"198.51.100.7", "2001:db8::7"};
	unsigned failures = 0;
	uint32_t wanted = 0;
	struct scene scene;

	open_scene(&scene, 0, SILENT, PATIENCE_MS);
	for (unsigned i = 0; i < SILENT; i++) {
		wanted |= (uint32_t)zones[i].lists << i;
		failures += zones[i].fails;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct address client;
		const char *why;

		assert_int_equal(address_parse(clients[i], &client, &why), 0);
		ask(&scene, &client);
		assert_int_equal(await(&scene, &client).listed, wanted);
		assert_int_equal(counts(&scene)->dnsbl_failed, failures * (i + 1));
	}
	assert_int_equal(counts(&scene)->dnsbl_timeout, 0);
	close_scene(&scene);
}

// Who is known is not asked about again, nor is who is being asked about.
static void test_asked_once(void **state)
{
	const struct address client = client_of(1);
	struct scene scene;

	open_scene(&scene, 0, 2, PATIENCE_MS);
	for (unsigned i = 0; i < 10; i++)
		ask(&scene, &client);
	await(&scene, &client);
	for (unsigned i = 0; i < 10; i++)
		ask(&scene, &client);
	// Those behind them have been answered: so were they looked at.
	ask(&scene, &(struct address){{[10] = 0xff, [11] = 0xff, 10, 1, 2, 3}});
	await(&scene, &(struct address){{[10] = 0xff, [11] = 0xff, 10, 1, 2, 3}});
	assert_int_equal(atomic_load(&asked), 4);
	close_scene(&scene);
}

// A list without an answer does not list, and is counted; what the others said is known before.
static void test_silence(void **state)
{
	const struct address client = client_of(1);
	struct dnsbl_answer known = {0};
	struct scene scene;

	open_scene(&scene, SILENT - 1, 2, 1500);
	ask(&scene, &client);
	known = await(&scene, &client);
	assert_int_equal(known.listed, 0);
	assert_int_equal(counts(&scene)->dnsbl_timeout, 1);
	close_scene(&scene);
}

// An answer that comes when nobody waits for it any more changes nothing.
static void test_too_late(void **state)
{
	const struct address client = client_of(1), other = client_of(2);
	struct scene scene;

	open_scene(&scene, LATE, 1, 300);
	ask(&scene, &client);
	assert_int_equal(await(&scene, &client).listed, 0);
	atomic_store(&given_up, true);
	// Its answer comes behind the late one; or not in time either, on a busy machine.
	ask(&scene, &other);
	await(&scene, &other);
	assert_int_equal(await(&scene, &client).listed, 0);
	assert_in_range(counts(&scene)->dnsbl_timeout, 1, 2);
	close_scene(&scene);
}

// More clients at once than may be asked about: counted. When nobody waits for them any more,
// others may; the end does not wait for anybody.
static void test_too_many(void **state)
{
	enum { MORE = 76 };
	unsigned number = ASKED_MAX + MORE;
	struct scene scene;
	struct address last;

	open_scene(&scene, SILENT, 1, 1000); // in which a busy machine takes them all
	for (unsigned i = 0; i < ASKED_MAX + MORE; i++) {
		last = client_of(i);
		ask(&scene, &last);
	}
	last = client_of(0);
	await(&scene, &last);
	for (unsigned i = 0; i < PATIENCE_MS && counts(&scene)->dnsbl_timeout < ASKED_MAX; i++)
		usleep(1000);
	assert_int_equal(counts(&scene)->dnsbl_timeout, ASKED_MAX);
	assert_int_equal(counts(&scene)->dnsbl_inquiries_full, MORE);
	// c-ares gives the last ones up in its own time.
	while (counts(&scene)->dnsbl_timeout < 2 * ASKED_MAX) {
		last = client_of(++number);
		ask(&scene, &last);
		usleep(1000);
		assert_true(number < PATIENCE_MS);
	}
	last = client_of(++number);
	ask(&scene, &last);
	close_scene(&scene);
}

// The name server ends, and comes back.
static void test_gone_and_back(void **state)
{
	struct address client = client_of(1);
	struct scene scene;

	open_scene(&scene, 0, 1, PATIENCE_MS);
	ask(&scene, &client);
	assert_int_equal(await(&scene, &client).listed, 1);
	close_server(&scene.server);
	client = client_of(2);
	ask(&scene, &client);
	assert_int_equal(await(&scene, &client).listed, 0);
	assert_int_equal(counts(&scene)->dnsbl_failed, 1);
	open_server(&scene.server, scene.server.port);
	client = client_of(3);
	ask(&scene, &client);
	assert_int_equal(await(&scene, &client).listed, 1);
	close_scene(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_answer),   cmocka_unit_test(test_asked_once),
		cmocka_unit_test(test_silence),       cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_gone_and_back), cmocka_unit_test(test_too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
