/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/host/backend.h"
#include "daemon/host/link-priv.h"
#include "lib/cleanup.h"

#define RECEIVE_BUFFER (1024 * 1024)
#define RETRY_MS 3000 /* ice and i40e: a VF resets for up to 800 ms a call */
#define RETRY_STEP_MS 50
#define DUMP_TRIES 5

int link_open(struct nl_sock **ret, struct vnet_err *err)
{
	struct nl_sock *nl = nl_socket_alloc();
	int one = 1, r;

	if (!nl)
		return vnet_err_errno(err, -ENOMEM, "open rtnetlink socket");
	r = nl_connect(nl, NETLINK_ROUTE);
	if (r < 0) {
		nl_socket_free(nl);
		return vnet_err_set(err, -EIO, VNET_E_FAILED, "open rtnetlink socket: %s",
				    nl_geterror(r));
	}
	nl_socket_set_buffer_size(nl, RECEIVE_BUFFER, 0);
	/* Each is a comfort: an older kernel answers without. */
	setsockopt(nl_socket_get_fd(nl), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(nl_socket_get_fd(nl), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(nl_socket_get_fd(nl), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	*ret = nl;
	return 0;
}

struct nl_sock *link_close(struct nl_sock *nl)
{
	if (nl)
		nl_socket_free(nl);
	return NULL;
}

/* 1: the answer is complete. */
static int take_message(const struct nlmsghdr *h, link_reply_fn reply, void *user, char *extack,
			size_t extack_size)
{
	const struct nlmsgerr *e;

	switch (h->nlmsg_type) {
	case NLMSG_DONE:
		if (nlmsg_datalen(h) >= (int)sizeof(int)) {
			int r = *(const int *)nlmsg_data(h);

			return r < 0 ? r : 1;
		}
		return 1;
	case NLMSG_ERROR:
		if (!nlmsg_valid_hdr(h, sizeof(*e)))
			return -EBADMSG;
		e = nlmsg_data(h);
		link_parse_extack(h, extack, extack_size);
		return e->error < 0 ? e->error : 1;
	case NLMSG_NOOP:
		return 0;
	default:
		return reply ? reply(h, user) : 0;
	}
}

/* Everything up to the answer's end. Messages of an earlier request are passed over.
 * -EINTR: the dump was disturbed, its parts do not fit together. */
static int take_answer(struct nl_sock *nl, uint32_t seq, link_reply_fn reply, void *user,
		       char *extack, size_t extack_size)
{
	bool disturbed = false;

	for (;;) {
		_cleanup_free_ unsigned char *buf = NULL;
		struct sockaddr_nl from;
		struct nlmsghdr *h;
		int n, r;

		errno = 0;
		n = nl_recv(nl, &from, &buf, NULL);
		if (n <= 0)
			return errno ? -errno : -EIO;
		h = (struct nlmsghdr *)(void *)buf;
		for (; nlmsg_ok(h, n); h = nlmsg_next(h, &n)) {
			if (h->nlmsg_seq != seq)
				continue;
			disturbed |= h->nlmsg_flags & NLM_F_DUMP_INTR;
			r = take_message(h, reply, user, extack, extack_size);
			if (r < 0)
				return r;
			if (r > 0)
				return disturbed ? -EINTR : 0;
		}
	}
}

int link_exchange(struct nl_sock *nl, struct nl_msg *msg, link_reply_fn reply, void *user,
		  char *extack, size_t extack_size)
{
	*extack = '\0';
	errno = 0;
	if (nl_send_auto(nl, msg) < 0)
		return errno ? -errno : -EIO;
	return take_answer(nl, nlmsg_hdr(msg)->nlmsg_seq, reply, user, extack, extack_size);
}

int link_fail(struct vnet_err *err, int code, const char *extack, const char *what)
{
	if (*extack)
		return vnet_err_errno(err, code, "%s (%s)", what, extack);
	return vnet_err_errno(err, code, "%s", what);
}

struct nl_msg *link_request(int type, int flags, const void *header, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && nlmsg_append(msg, (void *)header, size, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int take_link(const struct nlmsghdr *h, void *user)
{
	struct host_scan *s = user;
	struct link *more;
	int r;

	/* Room for a power of two of them. */
	if (!(s->n_links & (s->n_links - 1))) {
		more = reallocarray(s->links, s->n_links ? 2 * s->n_links : 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->links = more;
	}
	r = link_parse(h, &s->links[s->n_links]);
	if (r < 0)
		return r;
	s->n_links++;
	return 0;
}

static int take_address(const struct nlmsghdr *h, void *user)
{
	link_count_address(h, user);
	return 0;
}

static int take_route(const struct nlmsghdr *h, void *user)
{
	link_count_route(h, user);
	return 0;
}

static int dump_links(struct nl_sock *nl, struct host_scan *s, struct vnet_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	char extack[128] = "";
	int r = -EINTR;

	/* Still disturbed at the last try: what changed is announced as an event. */
	for (int i = 0; r == -EINTR && i < DUMP_TRIES; i++) {
		_cleanup_msg_ struct nl_msg *msg =
			link_request(RTM_GETLINK, NLM_F_DUMP, &ifi, sizeof(ifi));

		if (!msg || nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0)
			return vnet_err_errno(err, -ENOMEM, "list interfaces");
		free(s->links);
		s->links = NULL;
		s->n_links = 0;
		r = link_exchange(nl, msg, take_link, s, extack, sizeof(extack));
	}
	return r < 0 && r != -EINTR ? link_fail(err, r, extack, "list interfaces") : 0;
}

static int dump_addresses(struct nl_sock *nl, struct host_scan *s, struct vnet_err *err)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_UNSPEC };
	char extack[128] = "";
	int r = -EINTR;

	for (int i = 0; r == -EINTR && i < DUMP_TRIES; i++) {
		_cleanup_msg_ struct nl_msg *msg =
			link_request(RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa));

		if (!msg)
			return vnet_err_errno(err, -ENOMEM, "list addresses");
		for (size_t j = 0; j < s->n_links; j++)
			s->links[j].addresses = 0;
		r = link_exchange(nl, msg, take_address, s, extack, sizeof(extack));
	}
	return r < 0 && r != -EINTR ? link_fail(err, r, extack, "list addresses") : 0;
}

/* Not repeated when disturbed: on a router something always changes, and what
 * counts is whether there are any. */
static int dump_routes(struct nl_sock *nl, struct host_scan *s, int family, struct vnet_err *err)
{
	struct rtmsg rtm = { .rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_MAIN };
	_cleanup_msg_ struct nl_msg *msg =
		link_request(RTM_GETROUTE, NLM_F_DUMP, &rtm, sizeof(rtm));
	char extack[128] = "";
	int r;

	if (!msg || nla_put_u32(msg, RTA_TABLE, RT_TABLE_MAIN) < 0)
		return vnet_err_errno(err, -ENOMEM, "list routes");
	r = link_exchange(nl, msg, take_route, s, extack, sizeof(extack));
	/* -ENOENT: that table is empty; the others: no such family in this kernel. */
	if (r < 0 && r != -EINTR && r != -ENOENT && r != -EOPNOTSUPP && r != -EAFNOSUPPORT)
		return link_fail(err, r, extack, "list routes");
	return 0;
}

int link_dump(struct nl_sock *nl, struct host_scan *s, struct vnet_err *err)
{
	int r;

	r = dump_links(nl, s, err);
	if (r < 0)
		return r;
	if (host_scan_sort(s) < 0)
		return vnet_err_errno(err, -ENOMEM, "list interfaces");
	r = dump_addresses(nl, s, err);
	if (r == 0)
		r = dump_routes(nl, s, AF_INET, err);
	if (r == 0)
		r = dump_routes(nl, s, AF_INET6, err);
	return r;
}

struct vf_answer {
	const struct pci_addr *pf;
	struct vf_attrs *vfs;
	size_t n;
};

static int take_vfs(const struct nlmsghdr *h, void *user)
{
	struct vf_answer *a = user;

	if (a->vfs)
		return 0;
	return link_parse_vfs(h, a->pf, &a->vfs, &a->n);
}

int link_get_vfs(struct nl_sock *nl, int ifindex, const struct pci_addr *pf, struct vf_attrs **ret,
		 size_t *ret_n, struct vnet_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	_cleanup_msg_ struct nl_msg *msg = link_request(RTM_GETLINK, 0, &ifi, sizeof(ifi));
	struct vf_answer answer = { .pf = pf };
	char extack[128], what[64], addr[PCI_ADDR_STR];
	int r;

	snprintf(what, sizeof(what), "read VFs of PF %s", pci_addr_str(pf, addr));
	if (!msg || nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS) < 0)
		return vnet_err_errno(err, -ENOMEM, "%s", what);
	r = link_exchange(nl, msg, take_vfs, &answer, extack, sizeof(extack));
	if (r < 0) {
		free(answer.vfs);
		return link_fail(err, r, extack, what);
	}
	*ret = answer.vfs;
	*ret_n = answer.n;
	return 0;
}

/* Plain 802.1Q goes by the older attribute, which every driver's kernel knows. */
static int put_vlan(struct nl_msg *msg, unsigned index, const struct vlan *v)
{
	struct ifla_vf_vlan plain = { .vf = index, .vlan = v->id, .qos = v->id ? v->qos : 0 };
	struct ifla_vf_vlan_info info = {
		.vf = index, .vlan = v->id, .qos = v->qos, .vlan_proto = htons(v->proto)
	};
	struct nlattr *list;

	if (!v->id || v->proto == ETH_P_8021Q || !v->proto)
		return nla_put(msg, IFLA_VF_VLAN, sizeof(plain), &plain);
	list = nla_nest_start(msg, IFLA_VF_VLAN_LIST);
	if (!list || nla_put(msg, IFLA_VF_VLAN_INFO, sizeof(info), &info) < 0)
		return -ENOMEM;
	return nla_nest_end(msg, list);
}

static int put_change(struct nl_msg *msg, unsigned index, const struct vf_change *c)
{
	struct ifla_vf_mac mac = { .vf = index };
	struct ifla_vf_trust trust = { .vf = index, .setting = c->on };
	struct ifla_vf_spoofchk spoofchk = { .vf = index, .setting = c->on };

	switch (c->which) {
	case VF_ATTR_MAC:
		memcpy(mac.mac, c->mac.b, sizeof(c->mac.b));
		return nla_put(msg, IFLA_VF_MAC, sizeof(mac), &mac);
	case VF_ATTR_VLAN:
		return put_vlan(msg, index, &c->vlan);
	case VF_ATTR_TRUST:
		return nla_put(msg, IFLA_VF_TRUST, sizeof(trust), &trust);
	case VF_ATTR_SPOOFCHK:
		return nla_put(msg, IFLA_VF_SPOOFCHK, sizeof(spoofchk), &spoofchk);
	}
	return -EINVAL;
}

static int try_set_vf(struct nl_sock *nl, int ifindex, unsigned index, const struct vf_change *c,
		      char *extack, size_t extack_size)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	_cleanup_msg_ struct nl_msg *msg = link_request(RTM_SETLINK, 0, &ifi, sizeof(ifi));
	struct nlattr *list, *info;

	if (!msg)
		return -ENOMEM;
	list = nla_nest_start(msg, IFLA_VFINFO_LIST);
	info = list ? nla_nest_start(msg, IFLA_VF_INFO) : NULL;
	if (!info || put_change(msg, index, c) < 0)
		return -ENOMEM;
	nla_nest_end(msg, info);
	nla_nest_end(msg, list);
	return link_exchange(nl, msg, NULL, NULL, extack, extack_size);
}

static const char *attr_words(enum vf_attr which)
{
	static const char *const words[] = { [VF_ATTR_MAC] = "MAC",
					     [VF_ATTR_VLAN] = "VLAN",
					     [VF_ATTR_TRUST] = "trust",
					     [VF_ATTR_SPOOFCHK] = "spoof check" };

	return words[which];
}

int link_set_vf(struct nl_sock *nl, int ifindex, unsigned index, const struct vf_change *change,
		struct vnet_err *err)
{
	const struct timespec step = { .tv_nsec = RETRY_STEP_MS * 1000000L };
	char extack[128] = "", what[96];
	int r = 0;

	for (int waited = 0; waited <= RETRY_MS; waited += RETRY_STEP_MS) {
		r = try_set_vf(nl, ifindex, index, change, extack, sizeof(extack));
		if (r != -EBUSY && r != -EAGAIN)
			break;
		nanosleep(&step, NULL);
	}
	if (r == 0)
		return 0;
	snprintf(what, sizeof(what), "set %s of VF %u through interface %d",
		 attr_words(change->which), index, ifindex);
	return link_fail(err, r, extack, what);
}

int link_set_up(struct nl_sock *nl, int ifindex, bool up, struct vnet_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC,
				 .ifi_index = ifindex,
				 .ifi_flags = up ? IFF_UP : 0,
				 .ifi_change = IFF_UP };
	_cleanup_msg_ struct nl_msg *msg = link_request(RTM_SETLINK, 0, &ifi, sizeof(ifi));
	char extack[128] = "", what[64];
	int r;

	snprintf(what, sizeof(what), "set interface %d %s", ifindex, up ? "up" : "down");
	if (!msg)
		return vnet_err_errno(err, -ENOMEM, "%s", what);
	r = link_exchange(nl, msg, NULL, NULL, extack, sizeof(extack));
	return r < 0 ? link_fail(err, r, extack, what) : 0;
}
