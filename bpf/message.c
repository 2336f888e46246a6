// SPDX-License-Identifier: BSD-3-Clause
//
// libbpf's print hook takes no context, so the warning it hands over has to rest in a variable of
// this file: one per thread, written only inside a call of ours and read before that call returns.
#include "bpf/message.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_warning[EXPORT_ERROR_MAX];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list arguments)
{
	static const char prefix[] = "libbpf: ";
	char line[EXPORT_ERROR_MAX];
	const char *start = line;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), format, arguments);
	if (strncmp(line, prefix, sizeof(prefix) - 1) == 0)
		start += sizeof(prefix) - 1;
	snprintf(last_warning, sizeof(last_warning), "%s", start);
	last_warning[strcspn(last_warning, "\n")] = '\0';
	return 0;
}

void message_capture(void)
{
	last_warning[0] = '\0';
	libbpf_set_print(keep_warning);
}

const char *message_last(void)
{
	return last_warning;
}

int message_set(char error[EXPORT_ERROR_MAX], int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, EXPORT_ERROR_MAX, format, arguments);
	va_end(arguments);
	return code;
}

int message_failed(char error[EXPORT_ERROR_MAX], int code, const char *subject, const char *step)
{
	if (code == -EPERM || code == -EACCES)
		return message_set(error, code,
				   "%s: %s: not permitted: run as root, or grant CAP_BPF, "
				   "CAP_PERFMON, CAP_NET_ADMIN and CAP_SYS_ADMIN",
				   subject, step);
	if (last_warning[0])
		return message_set(error, code, "%s: %s: %s (%s)", subject, step, strerror(-code),
				   last_warning);
	return message_set(error, code, "%s: %s: %s", subject, step, strerror(-code));
}
