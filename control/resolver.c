// SPDX-License-Identifier: BSD-3-Clause
//
// See resolver.h. Each client is one inquiry: a query for each zone (lists that share a zone share
// it), until all are answered or DnsTimeout is over. What is known goes into the cache with each
// answer, since a part may decide. c-ares sends, repeats, falls back to TCP and reads the answers;
// nothing of DNS is parsed here. Owns the thread, the channel and the inquiries.

#include "control/resolver.h"

#include "control/privileges.h"
#include "dataplane/base/tick.h"
#include "dataplane/io/worker.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INQUIRIES 1024 // clients that are asked about at once
#define ADDRESSES 16   // of one answer that are looked at

// Nobody tells when a worker has put a client into its ring.
#define LOOK_MS      5
#define LOOK_IDLE_MS 10

// How long an answer is remembered: as long as its own TTL says, within bounds.
#define LISTED_LEAST_S 60
#define LISTED_MOST_S  3600
#define UNLISTED_S     300
#define FAILED_S       60

struct inquiry;

struct query {
	struct inquiry *inquiry;
	unsigned list; // the first one of its zone
};

struct inquiry {
	struct resolver *resolver;
	struct inquiry *next;
	struct address client;
	struct dnsbl_answer known;
	uint64_t deadline_us;
	uint32_t valid_s;      // the least of its answers
	unsigned outstanding;  // queries that c-ares will still call back
	bool over;             // nobody waits for them
	struct query *queries; // [list_count]
};

struct resolver {
	struct dnsbl_list *lists; // a copy: the policy that they came from may be replaced
	unsigned list_count;
	uint32_t timeout_ms;
	struct dnsbl *dnsbl;
	ares_channel channel;
	pthread_t thread;
	bool library, opened, running;
	sem_t begun;
	bool unprivileged; // once begun
	atomic_bool stop;
	struct inquiry *inquiries; // [INQUIRIES]
	struct query *queries;     // of all of them
	struct inquiry *unused;
	struct inquiry *oldest, **newest;    // those that go on, in the order of their deadlines
	uint32_t all;                        // a bit for each list
	uint32_t of_zone[POLICY_DNSBLS_MAX]; // bits of the lists that share the first one's zone
	_Atomic uint64_t timeouts, failures, inquiries_full, cache_full;
};

static void add(_Atomic uint64_t *count, uint64_t more)
{
	atomic_fetch_add_explicit(count, more, memory_order_relaxed);
}

// ---- An inquiry ------------------------------------------------------------------------------

static void remember(struct inquiry *inquiry, uint64_t now_us, uint64_t until_us)
{
	struct resolver *resolver = inquiry->resolver;

	if (!dnsbl_put(resolver->dnsbl, &inquiry->client, &inquiry->known, until_us, now_us))
		add(&resolver->cache_full, 1);
}

static void take_out(struct resolver *resolver, struct inquiry *inquiry)
{
	struct inquiry **at = &resolver->oldest;

	while (*at != inquiry)
		at = &(*at)->next;
	*at = inquiry->next;
	if (resolver->newest == &inquiry->next)
		resolver->newest = at;
}

static void give_back(struct inquiry *inquiry)
{
	if (!inquiry->over || inquiry->outstanding > 0)
		return;
	inquiry->next = inquiry->resolver->unused;
	inquiry->resolver->unused = inquiry;
}

// Lists that did not answer do not have the client.
static void end(struct inquiry *inquiry, uint64_t now_us)
{
	inquiry->known.answered = inquiry->resolver->all;
	remember(inquiry, now_us, now_us + inquiry->valid_s * 1000000ull);
	inquiry->over = true;
	take_out(inquiry->resolver, inquiry);
}

static void note(struct inquiry *inquiry, unsigned list, uint32_t listed, uint32_t valid_s)
{
	struct resolver *resolver = inquiry->resolver;
	const uint64_t now_us = worker_now().now_us;

	inquiry->known.listed |= listed;
	inquiry->known.answered |= resolver->of_zone[list];
	if (valid_s < inquiry->valid_s)
		inquiry->valid_s = valid_s;
	if (inquiry->known.answered == resolver->all)
		end(inquiry, now_us);
	else
		remember(inquiry, now_us, inquiry->deadline_us + 1000000);
}

// ---- Answers ---------------------------------------------------------------------------------

// 127.255.255.0/24 says that the question was not welcome; what is not of 127.0.0.0/8 comes from
// somebody who has an answer to everything.
static bool tells_error(const struct address *reply)
{
	const uint8_t *octets = reply->bytes + 12;

	return octets[0] != 127 || (octets[1] == 255 && octets[2] == 255);
}

// False when the answer is none that a DNS list gives.
static bool read_answer(const struct resolver *resolver, uint32_t lists,
			const struct ares_addrttl *answers, int count, uint32_t *listed)
{
	*listed = 0;
	for (int i = 0; i < count; i++) {
		uint8_t octets[4];
		struct address reply;

		memcpy(octets, &answers[i].ipaddr, sizeof(octets));
		reply = address_from_ipv4(octets);
		if (tells_error(&reply))
			return false;
		for (unsigned list = 0; list < resolver->list_count; list++)
			if (lists >> list & 1 && dnsbl_list_matches(&resolver->lists[list], &reply))
				*listed |= 1u << list;
	}
	return true;
}

static uint32_t validity(const struct ares_addrttl *answers, int count)
{
	int least = LISTED_MOST_S;

	for (int i = 0; i < count; i++)
		if (answers[i].ttl < least)
			least = answers[i].ttl;
	return least < LISTED_LEAST_S ? LISTED_LEAST_S : (uint32_t)least;
}

static void on_addresses(struct query *query, const unsigned char *answer, int length)
{
	struct inquiry *inquiry = query->inquiry;
	struct resolver *resolver = inquiry->resolver;
	struct ares_addrttl answers[ADDRESSES];
	int count = ADDRESSES;
	uint32_t listed;

	if (ares_parse_a_reply(answer, length, NULL, answers, &count) != ARES_SUCCESS ||
	    !read_answer(resolver, resolver->of_zone[query->list], answers, count, &listed)) {
		add(&resolver->failures, 1);
		note(inquiry, query->list, 0, FAILED_S);
	} else {
		note(inquiry, query->list, listed, listed ? validity(answers, count) : UNLISTED_S);
	}
}

static void on_answer(void *context, int status, int timeouts, unsigned char *answer, int length)
{
	struct query *query = context;
	struct inquiry *inquiry = query->inquiry;

	inquiry->outstanding--;
	if (inquiry->over || status == ARES_EDESTRUCTION) {
		give_back(inquiry);
		return;
	}
	switch (status) {
	case ARES_SUCCESS:
		on_addresses(query, answer, length);
		break;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
		note(inquiry, query->list, 0, UNLISTED_S);
		break;
	case ARES_ETIMEOUT:
		add(&inquiry->resolver->timeouts, 1);
		note(inquiry, query->list, 0, FAILED_S);
		break;
	default:
		add(&inquiry->resolver->failures, 1);
		note(inquiry, query->list, 0, FAILED_S);
		break;
	}
	give_back(inquiry);
}

// ---- Questions -------------------------------------------------------------------------------

static bool is_asked(const struct resolver *resolver, const struct address *client)
{
	for (const struct inquiry *at = resolver->oldest; at; at = at->next)
		if (address_compare(&at->client, client) == 0)
			return true;
	return false;
}

static void ask(struct resolver *resolver, const struct address *client, uint64_t now_us)
{
	struct inquiry *inquiry = resolver->unused;
	char name[DNSBL_NAME_MAX];

	resolver->unused = inquiry->next;
	*inquiry = (struct inquiry){
		.resolver = resolver,
		.client = *client,
		.deadline_us = now_us + 1000ull * resolver->timeout_ms,
		.valid_s = LISTED_MOST_S,
		.queries = inquiry->queries,
	};
	*resolver->newest = inquiry;
	resolver->newest = &inquiry->next;
	// One more than there are: an answer may come at once, and the last one gives it back.
	inquiry->outstanding = 1;
	for (unsigned i = 0; i < resolver->list_count; i++) {
		if (!resolver->of_zone[i])
			continue;
		inquiry->queries[i] = (struct query){inquiry, i};
		inquiry->outstanding++;
		ares_query(resolver->channel, dnsbl_name(client, resolver->lists[i].zone, name),
			   ns_c_in, ns_t_a, on_answer, &inquiry->queries[i]);
	}
	inquiry->outstanding--;
	give_back(inquiry);
}

static void take_clients(struct resolver *resolver)
{
	const uint64_t now_us = worker_now().now_us;
	struct dnsbl_answer known;
	struct address client;

	while (dnsbl_next(resolver->dnsbl, &client)) {
		// Another connection of the same client was before it.
		if (is_asked(resolver, &client) ||
		    dnsbl_find(resolver->dnsbl, &client, now_us, &known))
			continue;
		if (resolver->unused)
			ask(resolver, &client, now_us);
		else
			add(&resolver->inquiries_full, 1);
	}
}

static void end_late_ones(struct resolver *resolver)
{
	const uint64_t now_us = worker_now().now_us;

	while (resolver->oldest && resolver->oldest->deadline_us <= now_us) {
		struct inquiry *inquiry = resolver->oldest;
		uint32_t missing = resolver->all & ~inquiry->known.answered;

		for (unsigned i = 0; i < resolver->list_count; i++)
			if (missing >> i & 1 && resolver->of_zone[i])
				add(&resolver->timeouts, 1);
		inquiry->valid_s = FAILED_S;
		end(inquiry, now_us);
		give_back(inquiry);
	}
}

// ---- The thread ------------------------------------------------------------------------------

static void wait_and_process(struct resolver *resolver)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	struct pollfd polled[ARES_GETSOCK_MAXNUM];
	const int bits = ares_getsock(resolver->channel, sockets, ARES_GETSOCK_MAXNUM);
	nfds_t count = 0;

	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		const short events = (short)((ARES_GETSOCK_READABLE(bits, i) ? POLLIN : 0) |
					     (ARES_GETSOCK_WRITABLE(bits, i) ? POLLOUT : 0));

		if (!events)
			break;
		polled[count++] = (struct pollfd){.fd = sockets[i], .events = events};
	}
	poll(polled, count, resolver->oldest ? LOOK_MS : LOOK_IDLE_MS);
	for (nfds_t i = 0; i < count; i++)
		if (polled[i].revents)
			ares_process_fd(resolver->channel,
					polled[i].events & POLLIN ? polled[i].fd : ARES_SOCKET_BAD,
					polled[i].events & POLLOUT ? polled[i].fd
								   : ARES_SOCKET_BAD);
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); // repetitions
}

static void *resolve(void *context)
{
	struct resolver *resolver = context;

	while (!atomic_load_explicit(&resolver->stop, memory_order_relaxed)) {
		take_clients(resolver);
		wait_and_process(resolver);
		end_late_ones(resolver);
	}
	return NULL;
}

// What strangers send is read in this thread: it may do nothing that any user may not.
static void *begin(void *context)
{
	struct resolver *resolver = context;

	resolver->unprivileged = privileges_none() == 0;
	sem_post(&resolver->begun);
	return resolver->unprivileged ? resolve(resolver) : NULL;
}

// ---- Life ------------------------------------------------------------------------------------

static bool copy_lists(struct resolver *resolver, const struct policy *policy)
{
	resolver->timeout_ms = policy->gate.dns_timeout_ms;
	resolver->lists = calloc(policy->dnsbl_count, sizeof(*resolver->lists));
	if (!resolver->lists)
		return false;
	for (; resolver->list_count < policy->dnsbl_count; resolver->list_count++) {
		const struct dnsbl_list *from = &policy->dnsbls[resolver->list_count];
		struct dnsbl_list *list = &resolver->lists[resolver->list_count];

		list->zone = strdup(from->zone);
		list->replies = calloc(from->reply_count + 1, sizeof(*list->replies));
		list->reply_count = from->reply_count;
		if (!list->zone || !list->replies) {
			resolver->list_count++;
			return false;
		}
		for (unsigned i = 0; i < from->reply_count; i++)
			list->replies[i] = from->replies[i];
	}
	return true;
}

static void share_zones(struct resolver *resolver)
{
	for (unsigned i = 0; i < resolver->list_count; i++) {
		unsigned first = 0;

		while (strcasecmp(resolver->lists[first].zone, resolver->lists[i].zone) != 0)
			first++;
		resolver->of_zone[first] |= 1u << i;
		resolver->all |= 1u << i;
	}
}

static bool create_inquiries(struct resolver *resolver)
{
	const unsigned lists = resolver->list_count;

	resolver->inquiries = calloc(INQUIRIES, sizeof(*resolver->inquiries));
	resolver->queries = calloc((size_t)INQUIRIES * lists, sizeof(*resolver->queries));
	resolver->newest = &resolver->oldest;
	if (!resolver->inquiries || !resolver->queries)
		return false;
	for (unsigned i = 0; i < INQUIRIES; i++) {
		resolver->inquiries[i].queries = resolver->queries + (size_t)i * lists;
		resolver->inquiries[i].next = resolver->unused;
		resolver->unused = &resolver->inquiries[i];
	}
	return true;
}

// Each try waits twice as long as the one before: together DnsTimeout.
#define TRIES    2
#define TRY_PART 3

static int open_channel(struct resolver *resolver, const struct gate_settings *gate)
{
	struct ares_options options = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
				       .timeout = (int)(gate->dns_timeout_ms / TRY_PART),
				       .tries = TRIES};
	char servers[GATE_DNS_SERVERS_MAX * ENDPOINT_TEXT_MAX] = "";
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	if (status != ARES_SUCCESS)
		return status;
	resolver->library = true;
	status = ares_init_options(&resolver->channel, &options,
				   ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
	if (status != ARES_SUCCESS)
		return status;
	resolver->opened = true;
	for (unsigned i = 0; i < gate->dns_server_count; i++) {
		char text[ENDPOINT_TEXT_MAX];

		strcat(servers, i > 0 ? "," : "");
		strcat(servers, endpoint_format(&gate->dns_servers[i], text));
	}
	return servers[0] ? ares_set_servers_ports_csv(resolver->channel, servers) : ARES_SUCCESS;
}

struct resolver *resolver_create(const struct policy *policy, unsigned workers,
				 char error[RESOLVER_ERROR_MAX])
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	struct hash_key key;
	int status = ARES_ENOMEM;

	randombytes_buf(key.bytes, sizeof(key.bytes));
	if (resolver) {
		sem_init(&resolver->begun, 0, 0);
		resolver->dnsbl = dnsbl_create(workers, &key);
		if (resolver->dnsbl && copy_lists(resolver, policy) && create_inquiries(resolver)) {
			share_zones(resolver);
			status = open_channel(resolver, &policy->gate);
		}
	}
	if (status == ARES_SUCCESS)
		return resolver;
	snprintf(error, RESOLVER_ERROR_MAX, "the DNS lists cannot be asked: %s",
		 ares_strerror(status));
	resolver_destroy(resolver);
	return NULL;
}

int resolver_launch(struct resolver *resolver, char error[RESOLVER_ERROR_MAX])
{
	if (pthread_create(&resolver->thread, NULL, begin, resolver)) {
		snprintf(error, RESOLVER_ERROR_MAX,
			 "the thread that asks DNS lists does not start");
		return -1;
	}
	resolver->running = true;
	pthread_setname_np(resolver->thread, "relaygate-dns");
	while (sem_wait(&resolver->begun))
		;
	if (resolver->unprivileged)
		return 0;
	snprintf(error, RESOLVER_ERROR_MAX,
		 "the thread that asks DNS lists cannot give up its capabilities");
	return -1;
}

void resolver_destroy(struct resolver *resolver)
{
	if (!resolver)
		return;
	if (resolver->running) {
		atomic_store_explicit(&resolver->stop, true, memory_order_relaxed);
		pthread_join(resolver->thread, NULL);
	}
	if (resolver->opened)
		ares_destroy(resolver->channel);
	if (resolver->library)
		ares_library_cleanup();
	sem_destroy(&resolver->begun);
	dnsbl_destroy(resolver->dnsbl);
	for (unsigned i = 0; i < resolver->list_count; i++) {
		free(resolver->lists[i].zone);
		free(resolver->lists[i].replies);
	}
	free(resolver->lists);
	free(resolver->queries);
	free(resolver->inquiries);
	free(resolver);
}

struct dnsbl *resolver_dnsbl(struct resolver *resolver)
{
	return resolver ? resolver->dnsbl : NULL;
}

static uint64_t take(_Atomic uint64_t *count)
{
	return atomic_exchange_explicit(count, 0, memory_order_relaxed);
}

struct resolver_counts resolver_take(struct resolver *resolver)
{
	return (struct resolver_counts){
		.dnsbl_timeout = take(&resolver->timeouts),
		.dnsbl_failed = take(&resolver->failures),
		.dnsbl_inquiries_full = take(&resolver->inquiries_full),
		.dnsbl_cache_full = take(&resolver->cache_full),
	};
}
