// SPDX-License-Identifier: BSD-3-Clause
//
// libpcap behind two small types. Owns the files and one frame's buffer. Judges no frame: a header
// that is too short for its link layer makes the frame a cut one.
//
// Where the link layer says little, stations get addresses of ours: what went to the machine that
// captured, or from it, went to STATION_HERE.
#include "control/replay_capture.h"

#include "dataplane/net/wire.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAME_MAX  (65535 + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES) // an IP packet is no longer
#define WALL_MAX_S (UINT64_C(1) << 36)                              // no overflow as microseconds

static const uint8_t station_here[LINK_ADDRESS_BYTES] = {2, 0, 0, 0, 0, 0x10};
static const uint8_t station_there[LINK_ADDRESS_BYTES] = {2, 0, 0, 0, 0, 0x20};
static const uint8_t station_other[LINK_ADDRESS_BYTES] = {2, 0, 0, 0, 0, 0x30};
static const uint8_t station_all[LINK_ADDRESS_BYTES] = {255, 255, 255, 255, 255, 255};

// Fields of the cooked headers (LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2).
struct cooked {
	size_t bytes;
	size_t type_low; // of the packet type, its low byte
	size_t length_low;
	size_t address;
	size_t protocol;
};
static const struct cooked cooked_1 = {16, 1, 5, 6, 14};
static const struct cooked cooked_2 = {20, 10, 11, 12, 0};

enum cooked_type { COOKED_HERE, COOKED_BROADCAST, COOKED_MULTICAST, COOKED_OTHER, COOKED_OUT };

struct replay_capture {
	pcap_t *pcap;
	const char *path;
	int link;
	uint8_t frame[FRAME_MAX];
};

struct replay_dump {
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	const char *path;
};

static bool link_is_known(int link)
{
	return link == DLT_EN10MB || link == DLT_LINUX_SLL || link == DLT_LINUX_SLL2 ||
	       link == DLT_RAW || link == DLT_IPV4 || link == DLT_IPV6;
}

struct replay_capture *replay_capture_open(const char *path, char error[REPLAY_ERROR_MAX])
{
	struct replay_capture *capture = calloc(1, sizeof(*capture));
	char why[PCAP_ERRBUF_SIZE];
	const char *name;

	if (!capture) {
		snprintf(error, REPLAY_ERROR_MAX, "out of memory");
		return NULL;
	}
	capture->path = path;
	capture->pcap = pcap_open_offline(path, why);
	if (!capture->pcap) {
		bool named = strncmp(why, path, strlen(path)) == 0;

		snprintf(error, REPLAY_ERROR_MAX, "%s%s%s", named ? "" : path, named ? "" : ": ",
			 why);
		free(capture);
		return NULL;
	}
	capture->link = pcap_datalink(capture->pcap);
	if (link_is_known(capture->link))
		return capture;
	name = pcap_datalink_val_to_name(capture->link);
	snprintf(error, REPLAY_ERROR_MAX,
		 "%s: link layer %s (%d): want Ethernet, Linux cooked or raw IP", path,
		 name ? name : "unknown", capture->link);
	replay_capture_close(capture);
	return NULL;
}

void replay_capture_close(struct replay_capture *capture)
{
	if (!capture)
		return;
	pcap_close(capture->pcap);
	free(capture);
}

// Ethernet header in front of a packet; returns its length.
static size_t put_header(uint8_t *at, const uint8_t *destination, const uint8_t *source,
			 uint16_t ethertype)
{
	memcpy(at, destination, LINK_ADDRESS_BYTES);
	memcpy(at + LINK_ADDRESS_BYTES, source, LINK_ADDRESS_BYTES);
	at[12] = (uint8_t)(ethertype >> 8);
	at[13] = (uint8_t)ethertype;
	return ETHERNET_HEADER_BYTES;
}

// False when there is no packet behind the header.
static bool from_cooked(struct replay_frame *frame, const struct cooked *cooked,
			struct slice captured)
{
	const uint8_t *destination = station_here, *source = station_there;
	const uint8_t *header = captured.data;

	if (captured.length < cooked->bytes) // stops reads past the header
		return false;
	switch (header[cooked->type_low]) {
	case COOKED_BROADCAST:
	case COOKED_MULTICAST:
		destination = station_all;
		break;
	case COOKED_OTHER:
		destination = station_other;
		break;
	case COOKED_OUT:
		destination = station_there;
		break;
	}
	if (header[cooked->length_low] == LINK_ADDRESS_BYTES)
		source = header + cooked->address;
	else if (header[cooked->type_low] == COOKED_OUT)
		source = station_here;
	captured = slice_from(captured, cooked->bytes);
	frame->length = put_header(
		frame->bytes, destination, source,
		(uint16_t)(header[cooked->protocol] << 8 | header[cooked->protocol + 1]));
	captured = slice_first(captured, FRAME_MAX - frame->length);
	memcpy(frame->bytes + frame->length, captured.data, captured.length);
	frame->length += captured.length;
	return true;
}

static bool from_raw(struct replay_frame *frame, struct slice captured)
{
	uint16_t ethertype;

	if (captured.length == 0)
		return false;
	ethertype = captured.data[0] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
	captured = slice_first(captured, FRAME_MAX - ETHERNET_HEADER_BYTES);
	frame->length = put_header(frame->bytes, station_here, station_there, ethertype);
	memcpy(frame->bytes + frame->length, captured.data, captured.length);
	frame->length += captured.length;
	return true;
}

static bool copy_frame(const struct replay_capture *capture, struct replay_frame *frame,
		       struct slice captured)
{
	switch (capture->link) {
	case DLT_LINUX_SLL:
		return from_cooked(frame, &cooked_1, captured);
	case DLT_LINUX_SLL2:
		return from_cooked(frame, &cooked_2, captured);
	case DLT_EN10MB:
		frame->length = captured.length < FRAME_MAX ? captured.length : FRAME_MAX;
		memcpy(frame->bytes, captured.data, frame->length);
		return true;
	default:
		return from_raw(frame, captured);
	}
}

int replay_capture_next(struct replay_capture *capture, struct replay_frame *frame,
			char error[REPLAY_ERROR_MAX])
{
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	uint64_t seconds;
	int result = pcap_next_ex(capture->pcap, &header, &bytes);

	if (result == PCAP_ERROR_BREAK)
		return 0;
	if (result != 1) {
		snprintf(error, REPLAY_ERROR_MAX, "%s: %s", capture->path,
			 pcap_geterr(capture->pcap));
		return -1;
	}
	seconds = header->ts.tv_sec < 0 ? 0 : (uint64_t)header->ts.tv_sec;
	*frame = (struct replay_frame){
		.bytes = capture->frame,
		.wall_us = (seconds < WALL_MAX_S ? seconds : WALL_MAX_S) * 1000000 +
			   (uint64_t)header->ts.tv_usec % 1000000,
		.cut = header->caplen < header->len || header->caplen > FRAME_MAX,
	};
	if (!copy_frame(capture, frame, slice_of(bytes, header->caplen)))
		frame->cut = true;
	return 1;
}

struct replay_dump *replay_dump_open(const char *path, char error[REPLAY_ERROR_MAX])
{
	struct replay_dump *dump = calloc(1, sizeof(*dump));

	if (!dump)
		goto no_memory;
	dump->path = path;
	dump->pcap = pcap_open_dead(DLT_EN10MB, FRAME_MAX);
	if (!dump->pcap)
		goto no_memory;
	dump->dumper = pcap_dump_open(dump->pcap, path);
	if (dump->dumper)
		return dump;
	snprintf(error, REPLAY_ERROR_MAX, "%s", pcap_geterr(dump->pcap));
	pcap_close(dump->pcap);
	free(dump);
	return NULL;

no_memory:
	free(dump);
	snprintf(error, REPLAY_ERROR_MAX, "out of memory");
	return NULL;
}

void replay_dump_write(struct replay_dump *dump, struct slice frame, uint64_t wall_us)
{
	struct pcap_pkthdr header = {
		.ts = {.tv_sec = (time_t)(wall_us / 1000000),
		       .tv_usec = (suseconds_t)(wall_us % 1000000)},
		.caplen = (uint32_t)frame.length,
		.len = (uint32_t)frame.length,
	};

	pcap_dump((uint8_t *)dump->dumper, &header, frame.data);
}

int replay_dump_close(struct replay_dump *dump, char error[REPLAY_ERROR_MAX])
{
	int result;

	if (!dump)
		return 0;
	result = pcap_dump_flush(dump->dumper) || ferror(pcap_dump_file(dump->dumper)) ? -1 : 0;
	if (result)
		snprintf(error, REPLAY_ERROR_MAX, "%s: not everything could be written",
			 dump->path);
	pcap_dump_close(dump->dumper);
	pcap_close(dump->pcap);
	free(dump);
	return result;
}
