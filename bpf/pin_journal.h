// SPDX-License-Identifier: BSD-3-Clause
//
// What a start changes among an instance's pins, so that a start that fails leaves them as they
// were: the names that were there, and under NAME_former what was replaced. Works on the
// directory's descriptor, so that root may be given up in between. Does not know what is in the
// maps.
#ifndef RELAYGATE_BPF_PIN_JOURNAL_H
#define RELAYGATE_BPF_PIN_JOURNAL_H

struct pin_journal;

// Notes what is pinned in the directory, whose lock this process has, and removes what a start left
// that died. Borrows the descriptor. 0 or -errno.
int pin_journal_open(int directory, struct pin_journal **out);
// Before a pin is replaced: keeps what is there now under this name, if anything is. 0 or -errno.
int pin_journal_keep(struct pin_journal *journal, const char *name);
// The start succeeded: forgets what was replaced, and the journal. NULL is fine.
void pin_journal_settle(struct pin_journal *journal);
// The start failed: replaced pins are back, new ones are gone, and so is the journal. NULL is fine.
void pin_journal_undo(struct pin_journal *journal);

#endif
