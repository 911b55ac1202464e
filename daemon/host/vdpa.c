/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/vdpa.h"

#include <errno.h>
#include <linux/vdpa.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/host/backend.h"
#include "daemon/host/link.h"
#include "lib/cleanup.h"

#define MTU_MIN 68 /* below, it is no MTU: kernels before 6.1 say 0 where there is none */

static void cleanup_msg(struct nl_msg **m)
{
	nlmsg_free(*m);
}
#define _cleanup_msg_ _cleanup_(cleanup_msg)

static void cleanup_cb(struct nl_cb **cb)
{
	if (*cb)
		nl_cb_put(*cb);
}

/* ---- messages ---- */

static int attributes(const struct nlmsghdr *h, struct nlattr *tb[static VDPA_ATTR_MAX + 1])
{
	const struct genlmsghdr *g = nlmsg_data(h);

	if (!genlmsg_valid_hdr((struct nlmsghdr *)(uintptr_t)h, 0) ||
	    nla_parse(tb, VDPA_ATTR_MAX, genlmsg_attrdata(g, 0), genlmsg_attrlen(g, 0), NULL) < 0)
		return -EBADMSG;
	return 0;
}

/* A text that does not fit is none of ours. */
static bool get_text(const struct nlattr *a, char *ret, size_t size)
{
	size_t len = a ? strnlen(nla_data(a), (size_t)nla_len(a)) : 0;

	if (!len || len >= size)
		return false;
	memcpy(ret, nla_data(a), len);
	ret[len] = '\0';
	clean_text(ret);
	return true;
}

static uint64_t get_u64(const struct nlattr *a)
{
	return a && nla_len(a) >= (int)sizeof(uint64_t) ? nla_get_u64(a) : 0;
}

static int get_u16(const struct nlattr *a)
{
	return a && nla_len(a) >= (int)sizeof(uint16_t) ? nla_get_u16(a) : 0;
}

static bool get_handle(struct nlattr *const tb[], char ret[static VDPA_MGMTDEV_MAX])
{
	char bus[16], dev[32];

	if (!get_text(tb[VDPA_ATTR_MGMTDEV_DEV_NAME], dev, sizeof(dev)))
		return false;
	if (!tb[VDPA_ATTR_MGMTDEV_BUS_NAME])
		snprintf(ret, VDPA_MGMTDEV_MAX, "%s", dev);
	else if (get_text(tb[VDPA_ATTR_MGMTDEV_BUS_NAME], bus, sizeof(bus)))
		snprintf(ret, VDPA_MGMTDEV_MAX, "%s/%s", bus, dev);
	else
		return false;
	return true;
}

int vdpa_parse_mgmtdev(const struct nlmsghdr *h, struct vdpa_mgmtdev *ret)
{
	struct nlattr *tb[VDPA_ATTR_MAX + 1], *vqs;

	*ret = (struct vdpa_mgmtdev){ .max_vqs = -1 };
	if (attributes(h, tb) < 0 || !get_handle(tb, ret->name))
		return -EBADMSG;
	ret->features = get_u64(tb[VDPA_ATTR_DEV_SUPPORTED_FEATURES]);
	vqs = tb[VDPA_ATTR_DEV_MGMTDEV_MAX_VQS];
	if (vqs && nla_len(vqs) >= (int)sizeof(uint32_t) && nla_get_u32(vqs) <= INT32_MAX)
		ret->max_vqs = (int)nla_get_u32(vqs);
	return (get_u64(tb[VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES]) >> VIRTIO_ID_NET & 1) != 0;
}

int vdpa_parse_dev(const struct nlmsghdr *h, struct vdpa_dev *ret)
{
	struct nlattr *tb[VDPA_ATTR_MAX + 1];

	*ret = (struct vdpa_dev){ 0 };
	if (attributes(h, tb) < 0 ||
	    !get_text(tb[VDPA_ATTR_DEV_NAME], ret->name, sizeof(ret->name)) ||
	    !get_handle(tb, ret->mgmtdev))
		return -EBADMSG;
	return 0;
}

int vdpa_parse_config(const struct nlmsghdr *h, struct vdpa_config *ret)
{
	struct nlattr *tb[VDPA_ATTR_MAX + 1], *mac;
	int mtu;

	if (attributes(h, tb) < 0)
		return -EBADMSG;
	mac = tb[VDPA_ATTR_DEV_NET_CFG_MACADDR];
	ret->has_mac = mac && nla_len(mac) >= (int)sizeof(ret->mac.b);
	if (ret->has_mac)
		memcpy(ret->mac.b, nla_data(mac), sizeof(ret->mac.b));
	mtu = get_u16(tb[VDPA_ATTR_DEV_NET_CFG_MTU]);
	ret->mtu = mtu >= MTU_MIN ? mtu : 0;
	ret->max_vqp = get_u16(tb[VDPA_ATTR_DEV_NET_CFG_MAX_VQP]);
	return 0;
}

/* The bus name is given exactly where the management device has a bus. */
static int put_handle(struct nl_msg *msg, const char *mgmtdev)
{
	const char *slash = strchr(mgmtdev, '/');
	char bus[VDPA_MGMTDEV_MAX];
	int r = 0;

	if (slash) {
		snprintf(bus, sizeof(bus), "%.*s", (int)(slash - mgmtdev), mgmtdev);
		r = nla_put_string(msg, VDPA_ATTR_MGMTDEV_BUS_NAME, bus);
	}
	return r < 0 ? r
		     : nla_put_string(msg, VDPA_ATTR_MGMTDEV_DEV_NAME, slash ? slash + 1 : mgmtdev);
}

static int put_config(struct nl_msg *msg, const struct vdpa_config *c)
{
	int r = put_handle(msg, c->mgmtdev);

	if (r == 0 && c->has_mac)
		r = nla_put(msg, VDPA_ATTR_DEV_NET_CFG_MACADDR, sizeof(c->mac.b), c->mac.b);
	if (r == 0 && c->mtu)
		r = nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MTU, (uint16_t)c->mtu);
	if (r == 0 && c->max_vqp)
		r = nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MAX_VQP, (uint16_t)c->max_vqp);
	return r;
}

struct nl_msg *vdpa_request(int family, int cmd, int flags, const char *name,
			    const struct vdpa_config *c)
{
	_cleanup_msg_ struct nl_msg *msg = nlmsg_alloc();

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, (uint8_t)cmd,
				 VDPA_GENL_VERSION))
		return NULL;
	if (name && nla_put_string(msg, VDPA_ATTR_DEV_NAME, name) < 0)
		return NULL;
	if (c && put_config(msg, c) < 0)
		return NULL;
	return take_ptr(msg);
}

/* ---- the socket ---- */

void vdpa_done(struct vdpa *v)
{
	if (v->nl)
		nl_socket_free(v->nl);
	*v = (struct vdpa){ 0 };
}

static int open_socket(struct vdpa *v, struct vnet_err *err)
{
	int one = 1, r;

	v->nl = nl_socket_alloc();
	if (!v->nl)
		return vnet_err_errno(err, -ENOMEM, "open generic netlink socket");
	r = genl_connect(v->nl);
	if (r < 0) {
		vdpa_done(v);
		return vnet_err_set(err, -EIO, VNET_E_FAILED, "open generic netlink socket: %s",
				    nl_geterror(r));
	}
	setsockopt(nl_socket_get_fd(v->nl), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(nl_socket_get_fd(v->nl), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return 0;
}

/* Looked up once: the lookup is what hangs first where generic netlink hangs. */
static int need(struct vdpa *v, struct vnet_err *err)
{
	int r = v->nl ? 0 : open_socket(v, err);

	if (r < 0 || v->family > 0)
		return r;
	v->family = genl_ctrl_resolve(v->nl, VDPA_GENL_NAME);
	if (v->family > 0)
		return 0;
	r = v->family;
	v->family = 0;
	if (r == -NLE_OBJ_NOTFOUND)
		return vnet_err_set(err, -ENOENT, VNET_E_FAILED,
				    "the kernel has no vDPA: modprobe vdpa, and the driver that "
				    "makes the management device");
	vdpa_done(v);
	return vnet_err_set(err, -EIO, VNET_E_FAILED, "look up generic netlink family %s: %s",
			    VDPA_GENL_NAME, nl_geterror(r));
}

struct answer {
	int (*take)(const struct nlmsghdr *h, void *user);
	void *user;
	int r;
	bool complete;
	char extack[256];
};

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct answer *a = arg;

	if (a->r == 0 && a->take)
		a->r = a->take(nlmsg_hdr(msg), a->user);
	return NL_OK;
}

static int on_end(struct nl_msg *msg, void *arg)
{
	struct answer *a = arg;

	(void)msg;
	a->complete = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	const struct nlmsghdr *h = (const void *)((const char *)e - NLMSG_HDRLEN);
	struct answer *a = arg;

	(void)from;
	link_parse_extack(h, a->extack, sizeof(a->extack));
	a->r = e->error;
	a->complete = true;
	return NL_STOP;
}

static int receive(struct vdpa *v, struct answer *a)
{
	_cleanup_(cleanup_cb) struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, a);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, a);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, a);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, a);
	while (!a->complete) {
		r = nl_recvmsgs(v->nl, cb);
		if (r < 0 && !a->complete)
			return -EIO;
	}
	return a->r;
}

/* One request, which is consumed, and its answer. What is half read is never read on. */
static int exchange(struct vdpa *v, struct nl_msg *msg, struct answer *a, const char *what,
		    const char *name, struct vnet_err *err)
{
	_cleanup_msg_ struct nl_msg *owned = msg;
	int r;

	if (!msg)
		return vnet_err_errno(err, -ENOMEM, "%s%s", what, name);
	r = nl_send_auto(v->nl, msg) < 0 ? -EIO : receive(v, a);
	if (!a->complete)
		vdpa_done(v);
	if (r == -ENOENT) /* module vdpa went, and what came again has another number */
		v->family = 0;
	if (r < 0 && a->extack[0])
		return vnet_err_errno(err, r, "%s%s (%s)", what, name, a->extack);
	return r < 0 ? vnet_err_errno(err, r, "%s%s", what, name) : 0;
}

/* ---- operations ---- */

static int take_mgmtdev(const struct nlmsghdr *h, void *user)
{
	struct host_scan *s = user;
	struct vdpa_mgmtdev m, *more;
	int r = vdpa_parse_mgmtdev(h, &m);

	if (r <= 0) /* one whose name is longer than any is passed over too */
		return r == -EBADMSG ? 0 : r;
	more = reallocarray(s->mgmtdevs, s->n_mgmtdevs + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->mgmtdevs = more;
	s->mgmtdevs[s->n_mgmtdevs++] = m;
	return 0;
}

static int take_dev(const struct nlmsghdr *h, void *user)
{
	struct host_scan *s = user;
	struct vdpa_dev d, *more;

	if (vdpa_parse_dev(h, &d) < 0)
		return 0;
	more = reallocarray(s->vdpas, s->n_vdpas + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->vdpas = more;
	s->vdpas[s->n_vdpas++] = d;
	return 0;
}

static int dump(struct vdpa *v, int cmd, int (*take)(const struct nlmsghdr *h, void *user),
		struct host_scan *s, const char *what, struct vnet_err *err)
{
	struct answer a = { .take = take, .user = s };

	return exchange(v, vdpa_request(v->family, cmd, NLM_F_DUMP, NULL, NULL), &a, what, "", err);
}

int vdpa_mgmtdevs(struct vdpa *v, struct host_scan *s, struct vnet_err *err)
{
	int r = need(v, err);

	if (r == 0)
		r = dump(v, VDPA_CMD_MGMTDEV_GET, take_mgmtdev, s, "list vDPA management devices",
			 err);
	if (r == 0)
		r = dump(v, VDPA_CMD_DEV_GET, take_dev, s, "list vDPA devices", err);
	return r;
}

static int take_one(const struct nlmsghdr *h, void *user)
{
	return vdpa_parse_dev(h, user);
}

static int take_config(const struct nlmsghdr *h, void *user)
{
	return vdpa_parse_config(h, user);
}

/* The configuration is told device by device: of all of them, the first that cannot be
 * read ends the list. One that cannot (its features are not negotiated) tells nothing. */
int vdpa_get(struct vdpa *v, const char *name, struct vdpa_config *ret, struct vnet_err *err)
{
	struct vdpa_dev dev = { 0 };
	struct answer a = { .take = take_one, .user = &dev };
	struct answer c = { .take = take_config, .user = ret };
	int r = need(v, err);

	if (r == 0)
		r = exchange(v, vdpa_request(v->family, VDPA_CMD_DEV_GET, 0, name, NULL), &a,
			     "read vDPA device ", name, err);
	if (r < 0)
		return r;
	*ret = (struct vdpa_config){ 0 };
	memcpy(ret->mgmtdev, dev.mgmtdev, sizeof(ret->mgmtdev));
	exchange(v, vdpa_request(v->family, VDPA_CMD_DEV_CONFIG_GET, 0, name, NULL), &c,
		 "read configuration of ", name, NULL);
	return 0;
}

int vdpa_new(struct vdpa *v, const char *name, const struct vdpa_config *c, struct vnet_err *err)
{
	struct answer a = { 0 };
	int r = need(v, err);

	return r < 0 ? r
		     : exchange(v, vdpa_request(v->family, VDPA_CMD_DEV_NEW, 0, name, c), &a,
				"make vDPA device ", name, err);
}

int vdpa_del(struct vdpa *v, const char *name, struct vnet_err *err)
{
	struct answer a = { 0 };
	int r = need(v, err);

	return r < 0 ? r
		     : exchange(v, vdpa_request(v->family, VDPA_CMD_DEV_DEL, 0, name, NULL), &a,
				"delete vDPA device ", name, err);
}
