/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_HOST_TREE_H
#define VNETD_TESTS_HOST_TREE_H
/*
 * A host on paper, for tests of daemon/host/: a temporary directory with sys/ as
 * plain files and links, and the captured back end on it, whose writes are logged
 * and have the few effects that the knobs under test look at. A test has one.
 */
#include "daemon/host/host.h"

struct tree {
	char dir[64];
	struct kernel *k;
	struct kernel_ops ops;
	char log[4096];		/* "path=value;" of every write and vf_set */
	const char *fail_path;	/* writes to paths that end so fail ... */
	int fail;		/* ... with this errno */
	bool silent;		/* they succeed and do nothing instead */
	int fence;		/* what opening a group gives: 0 or -errno */
	struct node_owner node; /* of every group's node */
	struct holder holders[4];
	size_t n_holders;
	struct link links[8];
	size_t n_links;
	struct vf_attrs vfs[8];
	size_t n_vfs;
	bool refuses_zero_mac;
};

void tree_new(struct tree *t);
void tree_free(struct tree *t);
/* Once everything is in its place: the back end on it, as t->k. */
void tree_open(struct tree *t);

void tree_file(struct tree *t, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void tree_dir(struct tree *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tree_link(struct tree *t, const char *target, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A PCI function; @group -1: none */
void tree_function(struct tree *t, const char *bdf, unsigned class, unsigned device, int group);
void tree_sriov(struct tree *t, const char *pf, int total);
void tree_vf(struct tree *t, const char *pf, int index, const char *vf, int group);
void tree_bind(struct tree *t, const char *bdf, const char *driver);
void tree_interface(struct tree *t, const char *bdf, const char *name, int ifindex);
#endif
