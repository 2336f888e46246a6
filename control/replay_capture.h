// SPDX-License-Identifier: BSD-3-Clause
//
// Capture files in and out, through libpcap: pcap and pcapng, microseconds and nanoseconds. What
// comes in as Linux cooked or raw IP gets an Ethernet header, so that everybody else knows one link
// layer only. A file is read from the beginning each time that it is opened.
#ifndef RELAYGATE_CONTROL_REPLAY_CAPTURE_H
#define RELAYGATE_CONTROL_REPLAY_CAPTURE_H

#include "dataplane/base/slice.h"

#define REPLAY_ERROR_MAX 512

struct replay_capture;
struct replay_dump;

// One captured frame, Ethernet, without FCS.
struct replay_frame {
	uint8_t *bytes; // may be written to; valid until the next frame is asked for
	size_t length;
	uint64_t wall_us; // since 1970; a time before that reads as 0
	bool cut;         // the capture holds less of it than was on the wire
};

// NULL with one line for a person in error: no such file, no capture, a link layer that is none of
// Ethernet, Linux cooked (both versions) and raw IP.
struct replay_capture *replay_capture_open(const char *path, char error[REPLAY_ERROR_MAX]);
void replay_capture_close(struct replay_capture *capture); // NULL is fine
// 1 and the next frame; 0 at the end; -1 with a line in error when the rest cannot be read.
int replay_capture_next(struct replay_capture *capture, struct replay_frame *frame,
			char error[REPLAY_ERROR_MAX]);

// A new file for Ethernet frames with microseconds. NULL with a line in error.
struct replay_dump *replay_dump_open(const char *path, char error[REPLAY_ERROR_MAX]);
void replay_dump_write(struct replay_dump *dump, struct slice frame, uint64_t wall_us);
// 0, or -1 with a line in error when not everything could be written. NULL is fine.
int replay_dump_close(struct replay_dump *dump, char error[REPLAY_ERROR_MAX]);

#endif
