/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vDPA network device made of nothing, on a stock kernel: `vduse-net NAME` makes a
 * VDUSE device, of which `vdpa dev add name NAME mgmtdev vduse` makes a vDPA device of
 * the same name. It prints "ready", answers what the kernel asks (a status that is not
 * answered stalls whoever opens or leaves the device), carries no packets, and takes the
 * device away again at SIGTERM. The vDPA device must be gone by then. What one that was
 * killed has left is made anew: once a request has gone unanswered it is of no use.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vduse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define QUEUES 2
#define QUEUE_SIZE 256
#define DESTROY_TRIES 50
#define DESTROY_STEP_US 100000

static int die(const char *what)
{
	fprintf(stderr, "vduse-net: %s: %s\n", what, strerror(errno));
	return 1;
}

static int create(int control, const char *name)
{
	const struct virtio_net_config net = {
		.mac = { 0x52, 0x54, 0x00, 0xdd, 0x00, 0x01 },
		.status = VIRTIO_NET_S_LINK_UP,
		.mtu = 1500,
	};
	struct vduse_dev_config *c = calloc(1, sizeof(*c) + sizeof(net));
	__u64 version = VDUSE_API_VERSION;
	int r = -1;

	if (!c)
		return die("allocate");
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->vendor_id = 0x1af4;
	c->device_id = VIRTIO_ID_NET;
	c->features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_ACCESS_PLATFORM |
		      1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS |
		      1ULL << VIRTIO_NET_F_MTU;
	c->vq_num = QUEUES;
	c->vq_align = 4096;
	c->config_size = sizeof(net);
	memcpy(c->config, &net, sizeof(net));
	if (ioctl(control, VDUSE_SET_API_VERSION, &version) < 0)
		die("set the API version");
	else if (ioctl(control, VDUSE_CREATE_DEV, c) < 0 &&
		 (errno != EEXIST || ioctl(control, VDUSE_DESTROY_DEV, c->name) < 0 ||
		  ioctl(control, VDUSE_CREATE_DEV, c) < 0))
		die(name);
	else
		r = 0;
	free(c);
	return r;
}

/* All of them, or no vDPA device can be made of it. */
static int set_queues_up(int dev)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		struct vduse_vq_config c = { .index = i, .max_size = QUEUE_SIZE };

		if (ioctl(dev, VDUSE_VQ_SETUP, &c) < 0)
			return die("set a queue up");
	}
	return 0;
}

/* No queue is ever worked on, so each is where the kernel last put it. */
static void get_state(int dev, const struct vduse_dev_request *req, struct vduse_dev_response *res)
{
	struct vduse_vq_info info = { .index = req->vq_state.index };

	res->vq_state.index = req->vq_state.index;
	if (ioctl(dev, VDUSE_VQ_GET_INFO, &info) < 0)
		res->result = VDUSE_REQ_RESULT_FAILED;
	else
		res->vq_state.split = info.split;
}

static int answer(int dev)
{
	struct vduse_dev_request req;
	struct vduse_dev_response res = { .result = VDUSE_REQ_RESULT_OK };
	ssize_t n = read(dev, &req, sizeof(req));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : die("read a request");
	if (n != sizeof(req))
		return 0;
	res.request_id = req.request_id;
	switch (req.type) {
	case VDUSE_GET_VQ_STATE:
		get_state(dev, &req, &res);
		break;
	case VDUSE_SET_STATUS:
	case VDUSE_UPDATE_IOTLB: /* there is no mapping of ours to give up */
		break;
	default:
		res.result = VDUSE_REQ_RESULT_FAILED;
	}
	return write(dev, &res, sizeof(res)) == sizeof(res) ? 0 : die("answer a request");
}

static int serve(int dev, int signals)
{
	struct pollfd p[] = { { .fd = dev, .events = POLLIN },
			      { .fd = signals, .events = POLLIN } };

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return die("wait for requests");
		if (p[1].revents)
			return 0;
		if (p[0].revents && answer(dev))
			return 1;
	}
}

/* -EBUSY while a vDPA device is made of it, or somebody still has it open. */
static int destroy(int control, const char *name)
{
	char buf[VDUSE_NAME_MAX] = "";

	snprintf(buf, sizeof(buf), "%s", name);
	for (int i = 0; i < DESTROY_TRIES; i++) {
		if (ioctl(control, VDUSE_DESTROY_DEV, buf) == 0)
			return 0;
		if (errno != EBUSY)
			break;
		usleep(DESTROY_STEP_US);
	}
	return die("take the device away");
}

static int run(const char *name, int signals)
{
	char path[sizeof("/dev/vduse/") + VDUSE_NAME_MAX];
	int control = open("/dev/vduse/control", O_RDWR | O_CLOEXEC);
	int dev, r;

	if (control < 0)
		return die("open /dev/vduse/control (modprobe vduse)");
	if (create(control, name) < 0)
		return 1;
	snprintf(path, sizeof(path), "/dev/vduse/%s", name);
	dev = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	r = dev < 0 ? die(path) : set_queues_up(dev);
	if (r == 0) {
		puts("ready");
		fflush(stdout);
		r = serve(dev, signals);
	}
	if (dev >= 0)
		close(dev);
	return destroy(control, name) || r;
}

int main(int argc, char **argv)
{
	sigset_t set;
	int signals;

	if (argc != 2 || !*argv[1] || strlen(argv[1]) >= VDUSE_NAME_MAX) {
		fprintf(stderr, "usage: vduse-net NAME\n");
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		return die("take signals");
	return run(argv[1], signals);
}
