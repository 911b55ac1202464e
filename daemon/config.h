/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_CONFIG_H
#define VNETD_CONFIG_H
/*
 * What an administrator wants: DIR/vnetd.conf, then DIR/vnetd.conf.d/ *.conf in the order
 * of their names; a later file overrides single keys of an earlier one. One table of keys
 * (config-keys.c) parses, prints and describes; the manual is held against it by a test.
 *
 * Loading never fails for what is written there: an error is kept with its file and line
 * and disables its pool alone; a key of [vnetd] keeps the value it had before. What a file
 * can make us hold is bounded by the constants below. Nothing here touches the host.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/host/nic.h"
#include "lib/err.h"
#include "lib/model.h"

#define CONFIG_FILES_MAX 64
#define CONFIG_FILE_MAX (64 * 1024) /* bytes */
#define CONFIG_POOLS_MAX 64
#define CONFIG_UPLINKS_MAX 32 /* words of one pool */
#define CONFIG_ERRORS_MAX 128 /* kept; more are counted */
#define CONFIG_WORD_MAX 64
#define CONFIG_VALUE_MAX 200 /* libinih's longest line */
#define CONFIG_KEYS_MAX 16   /* of a section */
#define CONFIG_TEXT_MAX 320
#define CONFIG_QUOTA_MAX 1024

/* Of a file and a line in it; the name belongs to the configuration. */
struct config_place {
	const char *file;
	unsigned line; /* from 1; 0: the file as a whole */
};

struct config_error {
	struct config_place at;
	char pool[POOL_NAME_MAX]; /* "" : of no pool */
	char text[CONFIG_TEXT_MAX];
};

enum config_placement { PLACEMENT_SPREAD, PLACEMENT_PACK, PLACEMENT_MAX };
enum config_numa { NUMA_PREFERRED, NUMA_STRICT, NUMA_MAX };
enum config_reserve { RESERVE_ALWAYS, RESERVE_RUNNING, RESERVE_MAX };
NAMES_DECLARE(config_placement, enum config_placement)
NAMES_DECLARE(config_numa, enum config_numa)
NAMES_DECLARE(config_reserve, enum config_reserve)

#define CONFIG_VFS_AUTO 0   /* made when first needed */
#define CONFIG_VFS_FOUND -1 /* never made */

/* How a pool gives; what a pool without configuration has is config_settings_default(). */
struct pool_settings {
	int vfs;	 /* a number, or one of the two above */
	int first, last; /* VF indices given out; last < 0: to the end */
	char modes[MODES_MAX][MODE_NAME_MAX];
	unsigned n_modes;
	struct vlan vlan; /* of attachments that ask for none */
	uint8_t mac_prefix[MAC_PREFIX_LEN];
	int quota; /* 0: none */
	int placement, numa, reserve;
	char vdpa_driver[DRIVER_NAME_MAX]; /* "" : what is known of the card */
};

enum config_uplink_kind { UPLINK_NAME, UPLINK_ADDRESS, UPLINK_MAC, UPLINK_DRIVER, UPLINK_MGMTDEV };
struct config_uplink {
	enum config_uplink_kind kind;
	bool exact;		    /* no glob, no driver: it names this one NIC */
	char word[CONFIG_WORD_MAX]; /* without mac=, driver= or mgmtdev= */
	struct mac mac;
	struct config_place at;
};

struct config_pool {
	char name[POOL_NAME_MAX];
	struct config_place at; /* its section, where it was first opened */
	bool disabled;		/* an error of this pool is in the list */
	struct pool_settings set;
	struct config_uplink uplinks[CONFIG_UPLINKS_MAX];
	size_t n_uplinks;
	struct config_place key_at[CONFIG_KEYS_MAX]; /* by the key's place in the table */
	uint32_t given, given_here;		     /* keys: at all, in the present file */
	unsigned line_here;			     /* of its section in the present file */
};

struct config {
	/* [vnetd] */
	uint8_t mac_prefix[MAC_PREFIX_LEN];
	int reserve;
	int hook_timeout_sec, start_wait_sec;
	uint32_t given_here;
	unsigned line_here;

	struct config_pool *pools; /* in the order of the files */
	size_t n_pools;
	struct config_error *errors;
	size_t n_errors, n_errors_untold;
	char *files[CONFIG_FILES_MAX];
	size_t n_files;
	bool unreadable; /* a file could not be read at all */
	/* Not all that is meant is known: what no pool claims must not be given out. */
	bool incomplete;
};

/* @dir need not exist. <0: out of memory. */
int config_load(struct config **ret, const char *dir, struct vnet_err *err);
struct config *config_free(struct config *c);
const struct config_pool *config_pool_find(const struct config *c, const char *name);
/* The first error of this pool ("" for none of any), "FILE:LINE: TEXT"; "" there is none. */
const char *config_pool_problem(const struct config *c, const char *name, char *ret, size_t size);
const char *config_error_str(const struct config_error *e, char *ret, size_t size);
void config_log_errors(const struct config *c);

/* What implicit pools have: the defaults of the table, with [vnetd]'s over them.
 * @c may be NULL. */
void config_settings_default(const struct config *c, struct pool_settings *ret);

/* The whole as a vnetd.conf that says the same, for `vnetd --dump-config`. NULL: out of
 * memory. */
char *config_dump(const struct config *c);
/* A line a key: SECTION, KEY, DEFAULT, DESCRIPTION with tabs between. */
char *config_dump_keys(void);

/* ---- the table, for config.c and reload.c ---- */

enum config_section { CONFIG_VNETD, CONFIG_POOL };

struct config_key {
	const char *name;
	enum config_section section;
	bool list;	      /* may be given on several lines; printed a word a line */
	const char *fallback; /* NULL: none, "[vnetd]": that section's */
	const char *accepts;
	const char *description;
	size_t offset;	  /* of the field, for the two below */
	int min, max;	  /* numbers */
	const char *zero; /* the word for none or all, where there is one */
	const char *(*word)(int value);
	/* @obj: struct config or struct config_pool. 0, -EINVAL, or -E2BIG: too many. */
	int (*parse)(const struct config_key *k, const char *value, void *obj);
	/* The @i-th line's value; false past the last. */
	bool (*print)(const struct config_key *k, const void *obj, size_t i,
		      char ret[static CONFIG_VALUE_MAX]);
	void (*clear)(void *obj); /* of lists */
};

const struct config_key *config_key_at(size_t i); /* NULL past the last */
/* Its place among the keys of its section; -1: there is none of this name. */
int config_key_find(enum config_section section, const char *name, const struct config_key **ret);
/* Give @obj every default of its section. */
void config_defaults(enum config_section section, void *obj);
/* After the last file: what is not given is taken from [vnetd]. */
void config_inherit(const struct config *c, struct config_pool *p);
#endif
