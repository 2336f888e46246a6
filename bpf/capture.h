/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/*
 * Frames out of a running gate, for `relaygate capture`: the order that the tool writes into the
 * map `capture`, and the records that the workers write into `captured`, a ring each. Nobody waits
 * for anybody: a worker overwrites what was not read, and the tool counts what it missed.
 *
 * The order: the tool moves the lease ahead and takes `owner` (compare and exchange from 0, or from
 * one whose lease was over), makes `serial` 0, writes the fields, then a serial that no order had
 * before (release): the time. A worker that sees another serial copies the order, checks the
 * program, and captures while CLOCK_MONOTONIC is before `lease_us`, which the tool moves ahead all
 * the time: when it dies, the capture ends.
 */
#ifndef RELAYGATE_BPF_CAPTURE_H
#define RELAYGATE_BPF_CAPTURE_H

#include "bpf/counters.h"

#define CAPTURE_PROGRAM_MAX 1024 /* instructions of classic BPF */
#define CAPTURE_DATA_BYTES  1536 /* of a frame, at most */
#define CAPTURE_RECORDS     1024 /* of a worker's ring */
#define CAPTURE_LEASE_US    2000000

/* As struct bpf_insn of pcap/bpf.h. */
struct capture_instruction {
	counters_u16 code;
	counters_u8 jt;
	counters_u8 jf;
	counters_u32 k;
};

struct capture_order {
	counters_u64 serial;         /* 0 = never ordered */
	counters_u64 owner;          /* process id of the tool, 0 = none */
	counters_u64 lease_us;       /* CLOCK_MONOTONIC, microseconds */
	counters_u32 snap;           /* bytes of a frame to keep, at most CAPTURE_DATA_BYTES */
	counters_u32 reason;         /* enum reason: only frames with this one; 0 = any */
	counters_u32 dropped;        /* 1: only received frames that were dropped */
	counters_u32 program_length; /* 0 = every frame */
	char connector[COUNTERS_NAME_BYTES]; /* only its clients' frames; empty = any */
	struct capture_instruction program[CAPTURE_PROGRAM_MAX];
} __attribute__((aligned(64)));

/* Record n of a worker's ring sits at index n % CAPTURE_RECORDS; see struct log_record. */
struct capture_record {
	counters_u64 sequence;
	counters_u64 wall_us;  /* of the worker's turn: all frames of a burst have the same */
	counters_u32 serial;   /* of the order, its low bits */
	counters_u32 length;   /* of the frame on the wire, without FCS */
	counters_u16 captured; /* bytes of data */
	counters_u16 reason;   /* enum reason; 0 = accepted, or sent by the gate */
	counters_u16 port;     /* its row in the map `ports` */
	counters_u16 sent;     /* 1: by the gate */
	char port_name[COUNTERS_NAME_BYTES];
	char connector[COUNTERS_NAME_BYTES];
	counters_u8 data[CAPTURE_DATA_BYTES];
} __attribute__((aligned(64)));

#endif
