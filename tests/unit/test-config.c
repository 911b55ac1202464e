/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files in, configuration and errors with their lines out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "lib/cleanup.h"

struct dir {
	char path[64];
	struct config *c;
};

static void *new_dir(void)
{
	struct dir *d = calloc(1, sizeof(*d));
	char sub[96];

	assert_non_null(d);
	strcpy(d->path, "/tmp/vnet-config.XXXXXX");
	assert_non_null(mkdtemp(d->path));
	snprintf(sub, sizeof(sub), "%s/vnetd.conf.d", d->path);
	assert_int_equal(mkdir(sub, 0700), 0);
	return d;
}

static int setup(void **state)
{
	*state = new_dir();
	return 0;
}

static int teardown(void **state)
{
	struct dir *d = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", d->path);
	assert_int_equal(system(command), 0);
	config_free(d->c);
	free(d);
	return 0;
}

static void put_bytes(struct dir *d, const char *name, const char *text, size_t len)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", d->path, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put(struct dir *d, const char *name, const char *text)
{
	put_bytes(d, name, text, strlen(text));
}

static const struct config *load(struct dir *d)
{
	struct vnet_err err = VNET_ERR_INIT;

	d->c = config_free(d->c);
	assert_int_equal(config_load(&d->c, d->path, &err), 0);
	return d->c;
}

static const struct config_pool *pool(struct dir *d, const char *name)
{
	const struct config_pool *p = config_pool_find(d->c, name);

	if (!p)
		fail_msg("there is no pool %s", name);
	return p;
}

/* There is an error in FILE:LINE with these words, of this pool. */
static void told(struct dir *d, const char *where, const char *words, const char *pool_name)
{
	char text[REASON_MAX];

	for (size_t i = 0; i < d->c->n_errors; i++) {
		const struct config_error *e = &d->c->errors[i];
		const char *s = config_error_str(e, text, sizeof(text)) + strlen(d->path) + 1;
		size_t n = strlen(where);

		if (strncmp(s, where, n) == 0 && s[n] == ':' && strstr(s + n, words) &&
		    strcmp(e->pool, pool_name) == 0)
			return;
	}
	for (size_t i = 0; i < d->c->n_errors; i++)
		print_error("%s\n", config_error_str(&d->c->errors[i], text, sizeof(text)));
	fail_msg("nobody tells %s: %s (pool '%s')", where, words, pool_name);
}

/* One line at line 3 of a pool that is fine but for it. */
static void bad_line(struct dir *d, const char *line, const char *words)
{
	char text[4096];

	snprintf(text, sizeof(text), "[pool a]\nuplink = ens1\n%s\n[pool b]\nuplink = ens2\n",
		 line);
	put(d, "vnetd.conf", text);
	load(d);
	told(d, "vnetd.conf:3", words, "a");
	assert_int_equal(d->c->n_errors, 1);
	assert_true(pool(d, "a")->disabled);
	assert_false(pool(d, "b")->disabled);
	assert_false(d->c->incomplete);
}

/* ---- what is taken ---- */

static void test_nothing(void **state)
{
	struct dir *d = *state;
	struct pool_settings set, of_none;
	const struct config *c = load(d);

	assert_int_equal(c->n_errors + c->n_pools, 0);
	assert_int_equal(c->hook_timeout_sec, 120);
	assert_int_equal(c->start_wait_sec, 10);
	assert_int_equal(c->reserve, RESERVE_ALWAYS);
	config_settings_default(c, &set);
	config_settings_default(NULL, &of_none);
	assert_memory_equal(&set, &of_none, sizeof(set));
	assert_int_equal(set.vfs, CONFIG_VFS_AUTO);
	assert_int_equal(set.last, -1);
	assert_string_equal(set.modes[0], "vf");
	assert_memory_equal(set.mac_prefix, "\x52\x54\x00", 3);

	/* no folder at all is no error either */
	strcat(d->path, "/none");
	assert_int_equal(load(d)->n_errors, 0);
	d->path[strlen(d->path) - strlen("/none")] = '\0';
}

static void test_all_keys(void **state)
{
	struct dir *d = *state;
	const struct config_pool *p;

	put(d, "vnetd.conf",
	    "\xef\xbb\xbf; of a Windows editor\r\n"
	    "[vnetd]\r\nmac-prefix = 02:aa:bb\r\nreserve = running\nhook-timeout-sec=3600\n"
	    "start-wait-sec = 0 ; not at all\n\n"
	    "[ pool  fast-1.x ] # two ports\n"
	    "\tuplink = ens1f0, ens2f*\n"
	    "  vfs = 8\n"
	    "uplink = 0000:65:00.1 0000:66:* mac=52:54:00:01:02:03,driver=igb\n"
	    "range = 2-5\nmodes = vf vhost-net\nmodes = tap\nvlan = 100 qos 3 proto 802.1ad\n"
	    "quota = 4\nplacement = pack\nnuma = strict\n"
	    "[pool rest]\nuplink=ens3\nmac-prefix=52:54:99\nreserve=always\nrange=3\nvfs=found\n");
	load(d);
	assert_int_equal(d->c->n_errors, 0);
	assert_int_equal(d->c->hook_timeout_sec, 3600);
	assert_int_equal(d->c->start_wait_sec, 0);
	p = pool(d, "fast-1.x");
	assert_int_equal(p->n_uplinks, 6);
	assert_int_equal(p->uplinks[0].kind, UPLINK_NAME);
	assert_true(p->uplinks[0].exact);
	assert_false(p->uplinks[1].exact);
	assert_int_equal(p->uplinks[2].kind, UPLINK_ADDRESS);
	assert_true(p->uplinks[2].exact);
	assert_int_equal(p->uplinks[3].kind, UPLINK_ADDRESS);
	assert_false(p->uplinks[3].exact);
	assert_int_equal(p->uplinks[4].kind, UPLINK_MAC);
	assert_int_equal(p->uplinks[5].kind, UPLINK_DRIVER);
	assert_string_equal(p->uplinks[5].word, "igb");
	assert_int_equal(p->uplinks[0].at.line, 9);
	assert_int_equal(p->uplinks[5].at.line, 11);
	assert_int_equal(p->set.vfs, 8);
	assert_int_equal(p->set.first, 2);
	assert_int_equal(p->set.last, 5);
	assert_int_equal(p->set.n_modes, 3);
	assert_string_equal(p->set.modes[2], "tap");
	assert_int_equal(p->set.vlan.id, 100);
	assert_int_equal(p->set.vlan.proto, 0x88a8);
	assert_int_equal(p->set.quota, 4);
	assert_int_equal(p->set.placement, PLACEMENT_PACK);
	assert_int_equal(p->set.numa, NUMA_STRICT);
	assert_int_equal(p->set.reserve, RESERVE_RUNNING); /* [vnetd]'s */
	assert_memory_equal(p->set.mac_prefix, "\x02\xaa\xbb", 3);
	p = pool(d, "rest");
	assert_memory_equal(p->set.mac_prefix, "\x52\x54\x99", 3);
	assert_int_equal(p->set.reserve, RESERVE_ALWAYS);
	assert_int_equal(p->set.vfs, CONFIG_VFS_FOUND);
	assert_true(p->set.first == 3 && p->set.last == 3);
}

static void test_dropins(void **state)
{
	struct dir *d = *state;
	const struct config_pool *p;

	put(d, "vnetd.conf.d/20-b.conf", "[pool a]\nquota = 2\n[vnetd]\nstart-wait-sec=2\n");
	put(d, "vnetd.conf.d/10-a.conf",
	    "[pool a]\nquota = 1\nuplink = ens8\nuplink = ens9\n[vnetd]\nstart-wait-sec=1\n");
	put(d, "vnetd.conf.d/30-no.config", "this is not read");
	put(d, "vnetd.conf.d/.40.conf", "nor is this");
	put(d, "vnetd.conf", "[pool z]\nuplink=ens7\n[pool a]\nquota = 9\nuplink = ens1\nvfs=4\n");
	load(d);
	assert_int_equal(d->c->n_errors, 0);
	assert_int_equal(d->c->start_wait_sec, 2);
	assert_string_equal(d->c->pools[0].name, "z"); /* in the order of the files */
	p = pool(d, "a");
	assert_int_equal(p->set.quota, 2);
	assert_int_equal(p->set.vfs, 4);
	assert_int_equal(p->n_uplinks, 2); /* a list is replaced whole */
	assert_string_equal(p->uplinks[0].word, "ens8");
	assert_int_equal(p->at.line, 3);
}

static void test_dump(void **state)
{
	struct dir *d = *state;
	_cleanup_free_ char *once = NULL, *twice = NULL, *keys = NULL;
	const struct config_key *k;
	char line[128];

	put(d, "vnetd.conf",
	    "[vnetd]\nmac-prefix=02:00:01\n"
	    "[pool a]\nuplink=ens1 ens2* mac=52:54:00:01:02:03 driver=ice\nvfs=7\nrange=2-\n"
	    "modes=vf tap\nvlan=100 qos 1\nquota=3\nplacement=pack\nnuma=strict\nreserve=running\n"
	    "vdpa-driver=vp-vdpa\n[pool b]\nuplink=ens3\n[pool bad]\nuplink=ens4\nvfs=x\n");
	once = config_dump(load(d));
	assert_non_null(once);
	assert_non_null(strstr(once, "vnetd.conf:18: vfs = x"));
	assert_non_null(strstr(once, "vdpa-driver = vp-vdpa"));
	assert_non_null(strstr(once, "vdpa-driver = auto"));
	put(d, "vnetd.conf", once);
	load(d);
	assert_int_equal(d->c->n_errors, 0);
	assert_int_equal(d->c->n_pools, 2);
	assert_int_equal(pool(d, "a")->set.quota, 3);
	twice = config_dump(d->c);
	/* the same but for what told the errors, which are gone */
	assert_memory_equal(strstr(once, "\n[vnetd]"), strstr(twice, "\n[vnetd]"),
			    strlen(strstr(twice, "\n[vnetd]")));

	keys = config_dump_keys();
	for (size_t i = 0; (k = config_key_at(i)); i++) {
		snprintf(line, sizeof(line), "%s\t%s\t",
			 k->section == CONFIG_POOL ? "pool" : "vnetd", k->name);
		assert_non_null(strstr(keys, line));
		assert_true(i < (size_t)2 * CONFIG_KEYS_MAX);
	}
}

/* ---- what is not ---- */

static void test_bad_values(void **state)
{
	static const char *const lines[] = {
		"uplink =",
		"uplink = a/b",
		"uplink = mac=01:00:00:00:00:01",
		"uplink = mac=52:54:00",
		"uplink = pci=1",
		"uplink = driver=",
		"uplink = 65:00.0",
		"vfs = 0",
		"vfs = -1",
		"vfs = 65536",
		"vfs = 99999999999999999999",
		"vfs = 7x",
		"vfs =",
		"range = 5-2",
		"range = x",
		"range = -2",
		"range = 1-2-3",
		"range = 123456789-",
		"modes = VF",
		"modes = vf, vf",
		"modes = a b c d e f g h i",
		"vlan = 4095",
		"vlan = 100 qos 8",
		"vlan = 100 proto 802.3",
		"mac-prefix = 01:00:5e",
		"mac-prefix = 52:54",
		"mac-prefix = 52:54:00:01",
		"mac-prefix = 525400",
		"quota = 0",
		"quota = 1025",
		"placement = random",
		"numa = no",
		"reserve = never",
		"vdpa-driver = a/b",
		"vdpa-driver = ..",
		"vdpa-driver = vf_vdpa other",
		"vdpa-driver = a-name-that-no-driver-can-ever-have-because-it-is-much-too-long-for-one",
	};
	struct dir *d = *state;
	char words[64];

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(words, sizeof(words), "%.*s", (int)strcspn(lines[i], " "), lines[i]);
		bad_line(d, lines[i], words);
	}
}

static void test_bad_lines(void **state)
{
	struct dir *d = *state;
	char text[512];

	bad_line(d, "colour = red", "a pool has no key colour");
	bad_line(d, "hook-timeout-sec = 3", "a pool has no key hook-timeout-sec");
	bad_line(d, "vfs 7", "neither a section nor KEY = VALUE");
	bad_line(d, "quota = \x1b[31m", "quota = ?[31m");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "uplink = ", 9);
	bad_line(d, text, "too long");
	/* the last line, without a newline */
	put(d, "vnetd.conf", "[pool a]\nuplink=ens1\nvfs");
	load(d);
	told(d, "vnetd.conf:3", "neither", "a");
	/* the longest that fits is whole: 197 bytes */
	snprintf(text, sizeof(text), "[pool a]\nuplink = ens1%*s\n", 184, "ens2");
	put(d, "vnetd.conf", text);
	assert_int_equal(load(d)->n_errors, 0);
	assert_string_equal(pool(d, "a")->uplinks[1].word, "ens2");
	snprintf(text, sizeof(text), "[pool a]\nuplink = ens1%*s\n", 185, "ens2");
	put(d, "vnetd.conf", text);
	load(d);
	told(d, "vnetd.conf:2", "too long", "a");
}

static void test_duplicates(void **state)
{
	struct dir *d = *state;

	put(d, "vnetd.conf",
	    "[pool a]\nuplink = ens1\nvfs = 1\nvfs = 2\n[vnetd]\n"
	    "reserve=always\nreserve=always\n");
	load(d);
	told(d, "vnetd.conf:4", "vfs is given twice", "a");
	told(d, "vnetd.conf:7", "reserve is given twice", "");
	put(d, "vnetd.conf", "[pool a]\nuplink = ens1\n[vnetd]\n[pool a]\nquota=1\n[vnetd]\n");
	load(d);
	told(d, "vnetd.conf:4", "is in this file already, at line 1", "a");
	told(d, "vnetd.conf:6", "is in this file already, at line 3", "");
}

static void test_sections(void **state)
{
	struct dir *d = *state;

	put(d, "vnetd.conf",
	    "quota = 1\n[colours]\nred = 1\n[pool]\nuplink=ens1\n[pool a b]\n[pool 0000:01:00.0]\n"
	    "[pool c\nuplink=ens2\nquota=1\n[pool d] junk\n[pool e]\n[poole]\nq=1\n"
	    "[pool ok]\nuplink=ens3\n"
	    "[pool xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]\n");
	load(d);
	told(d, "vnetd.conf:1", "outside of any section", "");
	told(d, "vnetd.conf:2", "there is no section [colours]", "");
	told(d, "vnetd.conf:4", "cannot be a pool's name", "?");
	told(d, "vnetd.conf:6", "cannot be a pool's name", "a b");
	told(d, "vnetd.conf:7", "cannot be a pool's name", "0000:01:00.0");
	told(d, "vnetd.conf:8", "no whole section", "c");
	told(d, "vnetd.conf:11", "no whole section", "d");
	told(d, "vnetd.conf:12", "has no uplink", "e");
	told(d, "vnetd.conf:13", "there is no section [poole]", "");
	/* What a broken section claims stays claimed, and no key of it goes elsewhere. */
	assert_int_equal(pool(d, "?")->n_uplinks, 1);
	assert_true(pool(d, "?")->disabled);
	assert_string_equal(pool(d, "c")->uplinks[0].word, "ens2");
	assert_false(pool(d, "ok")->disabled);
	assert_int_equal(pool(d, "ok")->n_uplinks, 1);
}

static void test_vnetd_keeps_its_values(void **state)
{
	struct dir *d = *state;

	put(d, "vnetd.conf",
	    "[vnetd]\nhook-timeout-sec = 0\nstart-wait-sec = 301\nmac-prefix = 03:00:00\n"
	    "reserve = maybe\nvfs = 3\n");
	put(d, "vnetd.conf.d/1.conf", "[vnetd]\nhook-timeout-sec = 9\n");
	put(d, "vnetd.conf.d/2.conf", "[vnetd]\nhook-timeout-sec = x\n");
	load(d);
	assert_int_equal(d->c->n_errors, 6);
	told(d, "vnetd.conf:2", "hook-timeout-sec = 0 is not accepted: 1 to 3600", "");
	told(d, "vnetd.conf:3", "start-wait-sec", "");
	told(d, "vnetd.conf:4", "mac-prefix", "");
	told(d, "vnetd.conf:5", "reserve", "");
	told(d, "vnetd.conf:6", "[vnetd] has no key vfs", "");
	told(d, "vnetd.conf.d/2.conf:2", "hook-timeout-sec", "");
	assert_int_equal(d->c->hook_timeout_sec, 9);
	assert_int_equal(d->c->start_wait_sec, 10);
	assert_memory_equal(d->c->mac_prefix, "\x52\x54\x00", 3);
}

static void test_range_and_vfs(void **state)
{
	struct dir *d = *state;

	bad_line(d, "range = 4-\nvfs = 4", "the last is VF 3");
}

/* ---- bounds ---- */

static void test_too_many(void **state)
{
	struct dir *d = *state;
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 0; i <= CONFIG_POOLS_MAX; i++)
		fprintf(f, "[pool p%d]\nuplink=ens%d\n", i, i);
	fclose(f);
	put(d, "vnetd.conf", text);
	load(d);
	assert_int_equal(d->c->n_pools, CONFIG_POOLS_MAX);
	told(d, "vnetd.conf:129", "one too many", "");
	assert_int_equal(d->c->n_errors, 1);
	assert_true(d->c->incomplete);
	free(take_ptr(text));

	f = open_memstream(&text, &size);
	fprintf(f, "[pool a]\n");
	for (int i = 0; i <= CONFIG_UPLINKS_MAX; i++)
		fprintf(f, "uplink=ens%d\n", i);
	for (int i = 0; i < 2 * CONFIG_ERRORS_MAX; i++)
		fprintf(f, "junk\n");
	fclose(f);
	put(d, "vnetd.conf", text);
	load(d);
	told(d, "vnetd.conf:34", "more than there may be", "a");
	assert_int_equal(pool(d, "a")->n_uplinks, CONFIG_UPLINKS_MAX);
	assert_int_equal(d->c->n_errors, CONFIG_ERRORS_MAX);
	assert_int_equal(d->c->n_errors_untold, CONFIG_ERRORS_MAX + 1);
}

static void test_files(void **state)
{
	struct dir *d = *state;
	_cleanup_free_ char *text = malloc(CONFIG_FILE_MAX + 2);
	char name[64], path[160];

	assert_non_null(text);
	memset(text, '\n', CONFIG_FILE_MAX + 1);
	text[CONFIG_FILE_MAX + 1] = '\0';
	put_bytes(d, "vnetd.conf", text, CONFIG_FILE_MAX);
	assert_int_equal(load(d)->n_errors, 0);
	put_bytes(d, "vnetd.conf", text, CONFIG_FILE_MAX + 1);
	load(d);
	told(d, "vnetd.conf", "cannot be read: it is longer", "");
	assert_true(d->c->unreadable && d->c->incomplete);
	put_bytes(d, "vnetd.conf", "[vnetd]\0\n", 9);
	load(d);
	told(d, "vnetd.conf", "no text", "");
	snprintf(path, sizeof(path), "%s/vnetd.conf", d->path);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0); /* would block whoever opens it */
	load(d);
	told(d, "vnetd.conf", "no regular file", "");
	unlink(path);
	assert_int_equal(symlink("vnetd.conf", path), 0);
	load(d);
	told(d, "vnetd.conf", "symbolic links", "");
	unlink(path);

	for (int i = 0; i < CONFIG_FILES_MAX + 3; i++) {
		snprintf(name, sizeof(name), "vnetd.conf.d/%02d.conf", i);
		put(d, name, "[vnetd]\nhook-timeout-sec = 7\n");
	}
	load(d);
	told(d, "vnetd.conf.d/62.conf", "too many files", "");
	assert_true(d->c->incomplete);
	assert_int_equal(d->c->hook_timeout_sec, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vnetd_keeps_its_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_range_and_vfs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
