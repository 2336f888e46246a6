// SPDX-License-Identifier: BSD-3-Clause
//
// May this happen? The rights of a connector asked at MAIL and RCPT (connector reference, section
// 3.1). Pure functions of the policy and the command, so that the session and whoever explains a
// decision get the same answer. REASON_NONE is yes; the reply to each reason is in reply.h.
#ifndef RELAYGATE_SMTP_DECIDE_H
#define RELAYGATE_SMTP_DECIDE_H

#include "bpf/counters.h"
#include "config/policy.h"
#include "dataplane/smtp/header.h"
#include "dataplane/smtp/path.h"

#include <stdbool.h>

// identities: bits (1 << enum principal) of the session.
// A session's MAIL with this reverse-path and SIZE= value (0 = none given).
enum reason decide_sender(const struct policy *policy, const struct connector *connector,
			  unsigned identities, const struct path *path, uint64_t declared_size);

// Its RCPT with this forward-path, `already` recipients being in the transaction.
enum reason decide_recipient(const struct policy *policy, const struct connector *connector,
			     unsigned identities, const struct path *path, uint32_t already);

// May its MAIL AUTH= say that somebody trusted submitted the message?
bool decide_trusts_submitter(const struct connector *connector, unsigned identities);

// May its XEXCH50 be heard?
bool decide_takes_exch50(const struct connector *connector, unsigned identities);

// Does a message with such a header go in circles (MaxHopCount, MaxLocalHopCount)?
bool decide_loops(const struct connector *connector, const struct header *header);

// The largest message in octets, POLICY_SIZE_UNLIMITED when the connector may bypass its limit.
uint64_t decide_size_limit(const struct connector *connector, unsigned identities);

#endif
