/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_JOURNAL_H
#define VNETD_JOURNAL_H
/*
 * What was done to the host for one attachment: RUNTIME/journal/UUID.NAME, a JSON
 * record a line, each written by one O_APPEND write before the deed. The file
 * lives as long as the attachment: releasing is walking it back.
 *
 *	{"version":1,"attachment":"vm1/net0"}
 *	{"turn":{"knob","object","owner","before","after","restore"}}
 *	{"handover":{"kind":"hostdev","value":"0000:01:10.0"}}
 *	{"confirmed":true}	the guest has it, set as it was asked for
 *
 * A last line that is torn (the power went) is dropped: its deed was not done yet.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/host/host.h"
#include "lib/err.h"

#define JOURNAL_EFFECTS_MAX 64

struct effect {
	const struct knob *knob;
	char object[KNOB_OBJECT_MAX];
	char before[KNOB_VALUE_MAX];
	char after[KNOB_VALUE_MAX];
	char restore[KNOB_VALUE_MAX]; /* what the way back sets: before, or the knob's idle value */
};

struct journal {
	int dirfd, fd;
	char file[64];
	struct effect *effects;
	size_t n;
	bool handed_over; /* from here on libvirt's live XML decides */
	bool confirmed;	  /* and from here on what differs was changed by somebody */
};

/* A new, empty one; replaces a file of that name. */
int journal_create(struct journal **ret, int runtime_fd, const char *file, const char *attachment,
		   struct vnet_err *err);
/* Read what is there. -ENOENT: none. -ENODATA: not even its first line. -EBADMSG: unreadable, also of
 * a newer version. */
int journal_open(struct journal **ret, int runtime_fd, const char *file, struct vnet_err *err);
struct journal *journal_free(struct journal *j);
/* On disk first, then in memory. */
int journal_add_effect(struct journal *j, const struct effect *e, struct vnet_err *err);
int journal_add_handover(struct journal *j, const char *kind, const char *value,
			 struct vnet_err *err);
int journal_add_confirmed(struct journal *j, struct vnet_err *err);
/* All was walked back: take the file away. */
void journal_remove(struct journal *j);
#endif
