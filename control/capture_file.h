// SPDX-License-Identifier: BSD-3-Clause
//
// A pcapng file (draft-ietf-opsawg-pcapng) of captured frames: an interface a port, each packet
// with its direction and, as a comment, what became of it. Written by hand, as libpcap writes only
// the old format, which has no comments.
#ifndef RELAYGATE_CONTROL_CAPTURE_FILE_H
#define RELAYGATE_CONTROL_CAPTURE_FILE_H

#include "bpf/capture.h"

#include <stdint.h>

struct capture_file;

// path "-" is stdout. NULL and errno when it cannot be written.
struct capture_file *capture_file_open(const char *path, uint32_t snap);
// 0, or -1 when writing failed.
int capture_file_write(struct capture_file *file, const struct capture_record *record,
		       unsigned worker);
int capture_file_flush(struct capture_file *file);
// Writes how many frames were lost. 0, or -1 when anything of the file was not written.
int capture_file_close(struct capture_file *file, uint64_t lost);

#endif
