// SPDX-License-Identifier: BSD-3-Clause
//
// Two gates of one policy that get the same frames at the same times, and must come to the same
// end: counters, log, offenders, answers. One of them is watched (bpf/capture.h), so it looks at
// each frame by itself; the other may take a short way with many alike. Stops the program where
// they differ.
#ifndef RELAYGATE_TEST_PIPELINE_TWINS_H
#define RELAYGATE_TEST_PIPELINE_TWINS_H

#include "dataplane/gate/offenders.h"
#include "dataplane/pipeline/worker.h"

#define TWINS_PORTS      2 // both take frames to all addresses; the second one's have a tag
#define TWINS_LOG        64
#define TWINS_CONNECTORS 2
#define TWINS_POLICIES   8 // one after the other

struct twin {
	struct outbox outbox; // first
	struct pipeline *pipeline;
	struct connector_counters connectors[TWINS_CONNECTORS];
	struct port_counters ports[TWINS_PORTS], *port_rows[TWINS_PORTS];
	struct reason_counter reasons[REASON_COUNT];
	struct log_record log[TWINS_LOG];
	struct offenders *offenders;
	struct servers_shared *servers;
	struct generation *generations[TWINS_POLICIES];
	unsigned generation_count;
	uint8_t frame[OUTBOX_FRAME_MAX];
	uint64_t sent;                // a sum over the bytes of all frames
	const struct slice *received; // may become their answers; NULL: none may
	unsigned answered;            // so many have
};

struct twins {
	struct twin watched, other;
	struct packet_port ports[TWINS_PORTS];
	struct capture_order order;
	struct capture_record *captured;
	struct tick now;
};

// gate: further lines of that section. Listed: 198.51.100.0/24 and 2001:db8:5::/48, to port 25 of
// 192.0.2.10 and 2001:db8::10; 192.0.2.99 is a server.
struct twins *twins_open(const char *gate);
// Another policy, likewise, whose connectors are bound to that port, or to no address of the above.
void twins_reload(struct twins *twins, const char *gate, bool bound);
void twins_close(struct twins *twins);
// Time passes, and both have a turn.
void twins_pass(struct twins *twins, uint64_t us);
// Both get a burst; compares all but offenders.
void twins_input(struct twins *twins, uint16_t port, const struct slice frames[], unsigned count);
// The same, but the watched one gets each frame by itself, and the other one may write its answers
// over the frames. For what both answer.
void twins_input_apart(struct twins *twins, uint16_t port, struct slice frames[], unsigned count);
void twins_compare_offenders(const struct twins *twins);
// Bursts and times as the bytes say, any bytes: frames of few kinds from few sources, most of them
// alike, some of them changed somewhere.
void twins_play(struct slice story);

#endif
