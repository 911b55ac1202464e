/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "pci/0000:01:00.2 mac 52:54:00:00:00:01 mtu 1500 max_vqp 4": a vDPA device in words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/vdpa.h"
#include "lib/cleanup.h"

#define MTU_MIN 68
#define MTU_MAX 65535
#define VQP_MAX 32768 /* as virtio counts them */

static bool is_mgmtdev(const char *s)
{
	size_t len = strlen(s);

	return len && len < VDPA_MGMTDEV_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/") ==
		       len;
}

static int number(const char *s, int min, int max, int *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || *s < '0' || *s > '9' || *end || n < min || n > max)
		return -EINVAL;
	*ret = (int)n;
	return 0;
}

static int set_word(struct vdpa_config *c, const char *key, const char *value)
{
	if (!strcmp(key, "mac") && !c->has_mac) {
		c->has_mac = true;
		return mac_parse(value, &c->mac);
	}
	if (!strcmp(key, "mtu") && !c->mtu)
		return number(value, MTU_MIN, MTU_MAX, &c->mtu);
	if (!strcmp(key, "max_vqp") && !c->max_vqp)
		return number(value, 1, VQP_MAX, &c->max_vqp);
	return -EINVAL;
}

int vdpa_config_parse(const char *s, struct vdpa_config *ret)
{
	char text[KNOB_VALUE_MAX], *save = NULL, *word, *value;
	struct vdpa_config c = { 0 };
	int r = 0;

	if (strlen(s) >= sizeof(text))
		return -EINVAL;
	strcpy(text, s);
	word = strtok_r(text, " ", &save);
	if (!word || !is_mgmtdev(word) || !strcmp(word, KNOB_ABSENT))
		return -EINVAL;
	strcpy(c.mgmtdev, word);
	while (r == 0 && (word = strtok_r(NULL, " ", &save))) {
		value = strtok_r(NULL, " ", &save);
		r = value ? set_word(&c, word, value) : -EINVAL;
	}
	if (r == 0)
		*ret = c;
	return r;
}

const char *vdpa_config_str(const struct vdpa_config *c, char ret[static KNOB_VALUE_MAX])
{
	char mac[MAC_STR];
	int n = snprintf(ret, KNOB_VALUE_MAX, "%s", c->mgmtdev);

	if (c->has_mac)
		n += snprintf(ret + n, KNOB_VALUE_MAX - (size_t)n, " mac %s",
			      mac_str(&c->mac, mac));
	if (c->mtu)
		n += snprintf(ret + n, KNOB_VALUE_MAX - (size_t)n, " mtu %d", c->mtu);
	if (c->max_vqp)
		snprintf(ret + n, KNOB_VALUE_MAX - (size_t)n, " max_vqp %d", c->max_vqp);
	return ret;
}
