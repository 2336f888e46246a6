// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate replay`: a capture through the data path itself, offline. The gate of the policy is
// made with ports that are no devices; the capture gives frames and the time, the played backend
// (replay_backend.c) the servers' answers. One worker, whatever the policy says. Reads the capture
// twice: first to learn what the gate's stations were in it. Neither root nor a device is needed,
// nothing outside the process is touched but the file of --write.
#include "config/policy.h"
#include "control/commands.h"
#include "control/replay_backend.h"
#include "control/replay_capture.h"
#include "control/replay_place.h"
#include "control/replay_print.h"
#include "control/replay_sequence.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/net/wire.h"
#include "dataplane/pipeline/pipeline.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define CONNECTIONS  (1u << 18)            // whose numbers are mapped at once
#define START_US     (10ull * 1000 * 1000) // of the monotonic clock; any will do
#define SILENCE_US   (86400ull * 1000000)  // longer ones between two frames are played as this
#define AFTERMATH_US (60ull * 1000 * 1000) // the gate's time after the last frame: tarpits end
#define MARGIN_US    (1ull * 1000 * 1000)  // beside ConnectTimeout, before the first frame
#define TURNS_MAX    (20ull * 1000 * 1000) // a hostile clock ends somewhere
#define EXCHANGES    10000                 // frames between gate and backend at one time

struct replay {
	struct outbox outbox; // first
	const struct policy *policy;
	struct ruleset *ruleset;
	struct replay_places places;
	struct connector_counters *connectors, **connector_rows;
	struct port_counters *ports, **port_rows;
	struct reason_counter *reasons;
	struct replay_sequence *sequence;
	struct replay_backend *backend;
	struct replay_dump *dump; // or NULL
	struct pipeline *pipeline;
	struct replay_totals totals;
	struct tick now;
	uint64_t first_wall_us, last_wall_us;
	uint64_t turns_left;
	uint64_t backend_due_us, gate_due_us;
	uint16_t frame_port;
	uint8_t frame[OUTBOX_FRAME_MAX];
};

// ---- What the gate sends ---------------------------------------------------------------------

// Parses a frame as the station that it is for would see it.
static bool parse_sent(struct slice frame, uint16_t index, struct view *view)
{
	struct packet_port port = {.index = index, .trust_checksums = true};

	if (frame.length < ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES) // stops reads past the tag
		return false;
	memcpy(port.mac, frame.data, LINK_ADDRESS_BYTES);
	if (frame.data[12] == ETHERTYPE_VLAN >> 8 && frame.data[13] == (ETHERTYPE_VLAN & 255))
		port.vlan = (uint16_t)((frame.data[14] & 15) << 8 | frame.data[15]);
	return packet_parse(&port, frame, view) == REASON_NONE;
}

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct replay *replay = (struct replay *)outbox;

	replay->frame_port = port;
	return replay->frame;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct replay *replay = (struct replay *)outbox;
	struct slice frame = slice_of(replay->frame, length);
	struct view view;

	if (length == 0)
		return;
	if (replay->dump)
		replay_dump_write(replay->dump, frame, replay->now.wall_us);
	if (!parse_sent(frame, replay->frame_port, &view))
		return;
	if (view.kind == VIEW_TCP)
		replay_sequence_gate(replay->sequence, &view);
	replay_backend_input(replay->backend, &view, replay->now);
	replay->backend_due_us = 0;
}

// ---- Time ------------------------------------------------------------------------------------

// Gate and backend at this time, until neither has anything to say.
static void settle(struct replay *replay)
{
	struct slice frame;
	uint16_t port;

	for (unsigned i = 0; i < EXCHANGES; i++) {
		if (replay->backend_due_us <= replay->now.now_us)
			replay->backend_due_us = replay_backend_turn(replay->backend, replay->now);
		if (!replay_backend_take(replay->backend, &port, &frame))
			break;
		pipeline_input(replay->pipeline, port, &frame, 1, replay->now, &replay->outbox);
	}
}

static void turn(struct replay *replay)
{
	settle(replay);
	replay->gate_due_us = pipeline_turn(replay->pipeline, replay->now, &replay->outbox);
	settle(replay);
	replay->turns_left -= replay->turns_left > 0;
}

// Lets so much time pass, with every timer that is due in it.
static void pass(struct replay *replay, uint64_t us)
{
	uint64_t end = replay->now.now_us + us;

	while (replay->now.now_us < end) {
		uint64_t due = replay->gate_due_us < replay->backend_due_us
				       ? replay->gate_due_us
				       : replay->backend_due_us;
		uint64_t to = due < end ? due : end;

		// The wheel's step: a timer is due at its end.
		if (to < replay->now.now_us + 1000)
			to = replay->now.now_us + 1000;
		if (to > end || replay->turns_left == 0)
			to = end;
		replay->now.wall_us += to - replay->now.now_us;
		replay->now.now_us = to;
		turn(replay);
	}
}

// ---- The capture -----------------------------------------------------------------------------

static bool believed(const struct replay *replay, uint16_t port, const struct view *view)
{
	return packet_verify(&replay->places.ports[port], view) == REASON_NONE;
}

static void feed(struct replay *replay, const struct replay_frame *frame, uint16_t port)
{
	struct slice bytes = slice_of(frame->bytes, frame->length);
	struct view view;

	if (packet_parse(&replay->places.ports[port], bytes, &view) == REASON_NONE &&
	    view.kind == VIEW_TCP) {
		replay_backend_heard(replay->backend, &view);
		replay_sequence_client(replay->sequence, &view, believed(replay, port, &view),
				       frame->bytes);
	}
	pipeline_input(replay->pipeline, port, &bytes, 1, replay->now, &replay->outbox);
	turn(replay);
}

// A clock that goes back stands still.
static void pass_until(struct replay *replay, uint64_t wall_us)
{
	uint64_t silence = 0;

	if (wall_us > replay->last_wall_us)
		silence = wall_us - replay->last_wall_us;
	pass(replay, silence < SILENCE_US ? silence : SILENCE_US);
	if (silence) {
		replay->last_wall_us = wall_us;
		replay->now.wall_us = wall_us;
	}
}

static void play(struct replay *replay, const struct replay_frame *frame)
{
	struct slice bytes = slice_of(frame->bytes, frame->length);
	struct view view;
	uint16_t port;

	pass_until(replay, frame->wall_us);
	if (frame->cut) {
		replay->totals.cut++;
		return;
	}
	switch (replay_places_find(&replay->places, bytes, &port)) {
	case REPLAY_PLACE_GATE:
		replay->totals.fed++;
		feed(replay, frame, port);
		break;
	case REPLAY_PLACE_SERVER:
		replay->totals.server++;
		if (parse_sent(bytes, 0, &view) && view.kind == VIEW_TCP)
			replay_sequence_server(replay->sequence, &view);
		break;
	case REPLAY_PLACE_BACKEND:
		replay->totals.backend++;
		break;
	case REPLAY_PLACE_FOREIGN:
		replay->totals.not_ours++;
		break;
	}
}

// The first look.
static void look_at(struct replay *replay, const struct replay_frame *frame)
{
	struct slice bytes = slice_of(frame->bytes, frame->length);
	struct view view;

	replay_places_learn(&replay->places, bytes);
	if (!frame->cut && parse_sent(bytes, 0, &view) && view.kind == VIEW_TCP)
		replay_sequence_foresee(replay->sequence, &view);
}

// Both looks at the capture: what to do with each frame. 0 or -1.
static int each_frame(struct replay *replay, const char *path, bool learn,
		      char error[REPLAY_ERROR_MAX])
{
	struct replay_capture *capture = replay_capture_open(path, error);
	struct replay_frame frame;
	int result;

	if (!capture)
		return -1;
	while ((result = replay_capture_next(capture, &frame, error)) == 1) {
		if (!learn) {
			play(replay, &frame);
			continue;
		}
		if (replay->totals.read++ == 0)
			replay->first_wall_us = frame.wall_us;
		look_at(replay, &frame);
	}
	replay_capture_close(capture);
	return result;
}

// A capture that holds nothing to play is a mistake; one whose end is missing is played so far.
static int survey(struct replay *replay, const char *path, char error[REPLAY_ERROR_MAX])
{
	const struct replay_places *places = &replay->places;
	int result = each_frame(replay, path, true, error), written;

	if (places->ours || (result && replay->totals.read == 0))
		return places->ours ? 0 : -1;
	if (replay->totals.read == 0) {
		snprintf(error, REPLAY_ERROR_MAX, "%s: no frame in it", path);
		return -1;
	}
	written = snprintf(error, REPLAY_ERROR_MAX,
			   "%s: no frame for an address of this configuration; %s", path,
			   places->seen_count ? "it holds frames to" : "nor an IP packet to any");
	for (unsigned i = 0; i < places->seen_count && written < REPLAY_ERROR_MAX; i++) {
		char text[ADDRESS_TEXT_MAX];

		written += snprintf(error + written, REPLAY_ERROR_MAX - (size_t)written, "%s %s",
				    i ? "," : "", address_format(&places->seen[i], text));
	}
	if (places->seen_more && written < REPLAY_ERROR_MAX)
		snprintf(error + written, REPLAY_ERROR_MAX - (size_t)written, " ...");
	return -1;
}

// ---- The gate --------------------------------------------------------------------------------

static int create_rows(struct replay *replay)
{
	const struct policy *policy = replay->policy;

	// Rows are aligned to cache lines.
	replay->connectors =
		aligned_alloc(64, policy->connector_count * sizeof(*replay->connectors));
	replay->ports = aligned_alloc(64, policy->port_count * sizeof(*replay->ports));
	replay->reasons = aligned_alloc(64, REASON_COUNT * sizeof(*replay->reasons));
	replay->connector_rows = calloc(policy->connector_count, sizeof(*replay->connector_rows));
	replay->port_rows = calloc(policy->port_count, sizeof(*replay->port_rows));
	if (!replay->connectors || !replay->ports || !replay->reasons || !replay->connector_rows ||
	    !replay->port_rows)
		return -1;
	memset(replay->connectors, 0, policy->connector_count * sizeof(*replay->connectors));
	memset(replay->ports, 0, policy->port_count * sizeof(*replay->ports));
	memset(replay->reasons, 0, REASON_COUNT * sizeof(*replay->reasons));
	for (unsigned i = 0; i < policy->connector_count; i++) {
		replay->connector_rows[i] = &replay->connectors[i];
		replay->connectors[i].listed = 1;
	}
	for (unsigned i = 0; i < policy->port_count; i++)
		replay->port_rows[i] = &replay->ports[i];
	return 0;
}

static int create_gate(struct replay *replay, enum replay_backend_mood mood)
{
	struct pipeline_settings settings = {.policy = replay->policy,
					     .ports = replay->places.ports};

	replay->now = (struct tick){START_US, replay->first_wall_us};
	replay->ruleset = ruleset_create(replay->policy);
	replay->backend = replay_backend_create(replay->policy, replay->places.ports, mood,
						replay->now.now_us);
	if (!replay->ruleset || !replay->backend || create_rows(replay))
		return -1;
	settings.ruleset = replay->ruleset;
	settings.counters = (struct pipeline_counters){.connectors = replay->connector_rows,
						       .ports = replay->port_rows,
						       .reasons = replay->reasons};
	randombytes_buf(&settings.cookie_secret, sizeof(settings.cookie_secret));
	randombytes_buf(settings.random_key, sizeof(settings.random_key));
	replay->pipeline = pipeline_create(&settings, replay->now);
	return replay->pipeline ? 0 : -1;
}

// The gate has been there for long when the capture begins: its servers are probed.
static void begin(struct replay *replay)
{
	uint64_t before_us = MARGIN_US;

	for (unsigned i = 0; i < replay->policy->backend_count; i++) {
		uint64_t timeout = replay->policy->backends[i].connect_timeout_ms * 1000ull;

		if (before_us < timeout + MARGIN_US)
			before_us = timeout + MARGIN_US;
	}
	replay->now.wall_us -= before_us < replay->now.wall_us ? before_us : replay->now.wall_us;
	replay->turns_left = TURNS_MAX;
	pipeline_start(replay->pipeline, replay->now, &replay->outbox);
	turn(replay);
	pass(replay, before_us);
	replay->now.wall_us = replay->last_wall_us = replay->first_wall_us;
}

static void release(struct replay *replay)
{
	pipeline_destroy(replay->pipeline);
	replay_backend_destroy(replay->backend);
	replay_sequence_destroy(replay->sequence);
	ruleset_destroy(replay->ruleset);
	replay_places_fini(&replay->places);
	free(replay->connectors);
	free(replay->ports);
	free(replay->reasons);
	free(replay->connector_rows);
	free(replay->port_rows);
}

// ---- The command -----------------------------------------------------------------------------

static int open_dump(struct replay *replay, const struct command_options *options,
		     char error[REPLAY_ERROR_MAX])
{
	struct stat in, out;

	if (!options->write)
		return 0;
	if (stat(options->file, &in) == 0 && stat(options->write, &out) == 0 &&
	    in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
		snprintf(error, REPLAY_ERROR_MAX, "%s: is the capture itself", options->write);
		return -1;
	}
	replay->dump = replay_dump_open(options->write, error);
	return replay->dump ? 0 : -1;
}

static void print(const struct replay *replay, bool json)
{
	struct replay_results results = {
		.policy = replay->policy,
		.connectors = replay->connectors,
		.ports = replay->ports,
		.reasons = replay->reasons,
		.totals = replay->totals,
		.seconds = (replay->last_wall_us - replay->first_wall_us) / 1000000,
		.forgotten = replay_sequence_forgotten(replay->sequence),
	};

	if (json)
		replay_print_json(&results);
	else
		replay_print_text(&results);
}

static int run(struct replay *replay, const struct command_options *options,
	       enum replay_backend_mood mood, char error[REPLAY_ERROR_MAX])
{
	struct hash_key key;
	int result;

	randombytes_buf(&key, sizeof(key));
	replay->sequence = replay_sequence_create(CONNECTIONS, &key);
	if (!replay->sequence || survey(replay, options->file, error) ||
	    open_dump(replay, options, error))
		return -1;
	snprintf(error, REPLAY_ERROR_MAX, "not enough memory for a gate of this configuration");
	if (create_gate(replay, mood))
		return -1;
	begin(replay);
	result = each_frame(replay, options->file, false, error);
	pass(replay, AFTERMATH_US);
	print(replay, options->json);
	return result;
}

int command_replay(const struct command_options *options)
{
	struct replay replay = {.outbox = {.reserve = reserve, .commit = commit}};
	enum replay_backend_mood mood = REPLAY_BACKEND_ACCEPT;
	char error[REPLAY_ERROR_MAX] = "out of memory";
	struct policy *policy;
	int result = -1;

	if (options->backend && !replay_backend_mood_parse(options->backend, &mood)) {
		fprintf(stderr, "relaygate: --backend %s: want accept, refuse or down\n",
			options->backend);
		return EXIT_WRONG;
	}
	policy = load_and_report(options->config);
	if (!policy)
		return EXIT_WRONG;
	replay.policy = policy;
	if (sodium_init() >= 0 && !replay_places_init(&replay.places, policy)) {
		result = run(&replay, options, mood, error);
		if (result)
			fprintf(stderr, "relaygate: %s\n", error);
		if (replay_dump_close(replay.dump, error)) {
			fprintf(stderr, "relaygate: %s\n", error);
			result = -1;
		}
		release(&replay);
	} else {
		fprintf(stderr, "relaygate: %s\n", error);
	}
	policy_destroy(policy);
	return result ? EXIT_WRONG : EXIT_FINE;
}
