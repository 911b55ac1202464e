// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each virtual function of an emulated 82576 as a vDPA management device of its own, as
 * VFs of mlx5, pds and octep are on real hardware. Its one device is vdpa_sim's: what a
 * guest sends goes nowhere, and nothing comes.
 *
 * It comes some time after the bind, as the real ones do (mlx5_vdpa is a module of its own,
 * octep_vdpa waits for firmware), or not at all: parameter delay_ms.
 *
 * No alias of a module: VFs are igbvf's unless somebody asks for this.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vdpa.h>
#include <linux/workqueue.h>
#include <uapi/linux/vdpa.h>
#include <uapi/linux/virtio_ids.h>
#include <uapi/linux/virtio_net.h>

#include "vdpa_sim.h"

#define PAIRS_MAX 4
#define VQS_MAX (2 * PAIRS_MAX + 1)
/* vdpa_sim has the third queue in a group of its own, whatever that queue is for. */
#define GROUPS 2
#define FEATURES                                                                                   \
	(VDPASIM_FEATURES | BIT_ULL(VIRTIO_NET_F_MAC) | BIT_ULL(VIRTIO_NET_F_STATUS) |             \
	 BIT_ULL(VIRTIO_NET_F_MTU) | BIT_ULL(VIRTIO_NET_F_CTRL_VQ) | BIT_ULL(VIRTIO_NET_F_MQ))

static int delay_ms = 500;
module_param(delay_ms, int, 0644);
MODULE_PARM_DESC(delay_ms, "From bind to management device, in ms; -1: there never is one");

struct parent {
	struct vdpa_mgmt_dev mgmt;
	struct pci_dev *vf;
	struct delayed_work appear;
	bool registered;
	bool has_device; /* under the lock that vdpa has around add and delete */
};

static void give_back(struct vdpasim_virtqueue *vq, size_t written)
{
	vringh_complete_iotlb(&vq->vring, vq->head, written);
	local_bh_disable();
	if (vringh_need_notify_iotlb(&vq->vring) > 0)
		vringh_notify(&vq->vring);
	local_bh_enable();
}

static void drop_sent(struct vdpasim_virtqueue *vq)
{
	while (vq->ready && vringh_getdesc_iotlb(&vq->vring, &vq->out_iov, NULL, &vq->head,
						 GFP_ATOMIC) > 0)
		give_back(vq, 0);
}

/* Whatever the driver asks for: yes. */
static void answer_control(struct vdpasim_virtqueue *vq)
{
	virtio_net_ctrl_ack ack = VIRTIO_NET_OK;
	ssize_t n;

	while (vq->ready && vringh_getdesc_iotlb(&vq->vring, &vq->in_iov, &vq->out_iov, &vq->head,
						 GFP_ATOMIC) > 0) {
		n = vringh_iov_push_iotlb(&vq->vring, &vq->out_iov, &ack, sizeof(ack));
		give_back(vq, n > 0 ? n : 0);
		vringh_kiov_cleanup(&vq->in_iov);
		vringh_kiov_cleanup(&vq->out_iov);
	}
}

/* Queues are receive and send in turn, and the last one is for control, which is where it
 * is for a driver without VIRTIO_NET_F_MQ too if there is one pair. */
static void sim_work(struct vdpasim *sim)
{
	int control = sim->dev_attr.nvqs - 1;

	mutex_lock(&sim->mutex);
	if (sim->running && (sim->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
		if (!(sim->features & BIT_ULL(VIRTIO_NET_F_MQ)))
			control = 2;
		if (sim->features & BIT_ULL(VIRTIO_NET_F_CTRL_VQ))
			answer_control(&sim->vqs[control]);
		for (int i = 1; i < control; i += 2)
			drop_sent(&sim->vqs[i]);
	}
	mutex_unlock(&sim->mutex);
}

static void sim_get_config(struct vdpasim *sim, void *config)
{
	struct virtio_net_config *net = config;

	net->status = cpu_to_vdpasim16(sim, VIRTIO_NET_S_LINK_UP);
}

static void sim_free(struct vdpasim *sim)
{
}

static void set_up(struct vdpasim *sim, const struct vdpa_dev_set_config *c, int pairs)
{
	struct virtio_net_config *net = sim->config;

	if (c->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MACADDR))
		ether_addr_copy(net->mac, c->net.mac);
	else
		eth_random_addr(net->mac);
	net->mtu = cpu_to_vdpasim16(
		sim, c->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MTU) ? c->net.mtu : ETH_DATA_LEN);
	net->max_virtqueue_pairs = cpu_to_vdpasim16(sim, pairs);
}

static int dev_add(struct vdpa_mgmt_dev *mgmt, const char *name,
		   const struct vdpa_dev_set_config *c)
{
	struct parent *p = container_of(mgmt, struct parent, mgmt);
	int pairs = c->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MAX_VQP) ? c->net.max_vq_pairs : 1;
	struct vdpasim_dev_attr attr = {
		.mgmt_dev = mgmt,
		.name = name,
		.id = VIRTIO_ID_NET,
		.supported_features = FEATURES,
		.alloc_size = sizeof(struct vdpasim),
		.config_size = sizeof(struct virtio_net_config),
		.nvqs = 2 * pairs + 1,
		.ngroups = GROUPS,
		.nas = GROUPS,
		.work_fn = sim_work,
		.get_config = sim_get_config,
		.free = sim_free,
	};
	struct vdpasim *sim;
	int r;

	if (p->has_device)
		return -ENOSPC; /* as mlx5_vdpa says it */
	if (pairs < 1 || pairs > PAIRS_MAX)
		return -EINVAL;
	sim = vdpasim_create(&attr, c);
	if (IS_ERR(sim))
		return PTR_ERR(sim);
	set_up(sim, c, pairs);
	/* vdpa_sim's have no parent; a VF's device has the VF. */
	sim->vdpa.dev.parent = &p->vf->dev;
	r = _vdpa_register_device(&sim->vdpa, attr.nvqs);
	if (r)
		put_device(&sim->vdpa.dev);
	else
		p->has_device = true;
	return r;
}

static void dev_del(struct vdpa_mgmt_dev *mgmt, struct vdpa_device *dev)
{
	container_of(mgmt, struct parent, mgmt)->has_device = false;
	_vdpa_unregister_device(dev);
}

static const struct vdpa_mgmtdev_ops ops = {
	.dev_add = dev_add,
	.dev_del = dev_del,
};

static struct virtio_device_id devices[] = {
	{ VIRTIO_ID_NET, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static void appear(struct work_struct *work)
{
	struct parent *p = container_of(to_delayed_work(work), struct parent, appear);
	int r = vdpa_mgmtdev_register(&p->mgmt);

	p->registered = r == 0;
	if (r)
		dev_err(&p->vf->dev, "no management device: %d\n", r);
}

static int vf_probe(struct pci_dev *vf, const struct pci_device_id *id)
{
	struct parent *p;

	if (!vf->is_virtfn)
		return -ENODEV;
	p = devm_kzalloc(&vf->dev, sizeof(*p), GFP_KERNEL);
	if (!p)
		return -ENOMEM;
	p->vf = vf;
	p->mgmt.device = &vf->dev;
	p->mgmt.ops = &ops;
	p->mgmt.id_table = devices;
	p->mgmt.config_attr_mask = BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MACADDR) |
				   BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MTU) |
				   BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MAX_VQP) |
				   BIT_ULL(VDPA_ATTR_DEV_FEATURES);
	p->mgmt.supported_features = FEATURES;
	p->mgmt.max_supported_vqs = VQS_MAX;
	INIT_DELAYED_WORK(&p->appear, appear);
	pci_set_drvdata(vf, p);
	if (delay_ms >= 0)
		schedule_delayed_work(&p->appear, msecs_to_jiffies(delay_ms));
	return 0;
}

/* The device goes too, once nobody has it open. */
static void vf_remove(struct pci_dev *vf)
{
	struct parent *p = pci_get_drvdata(vf);

	cancel_delayed_work_sync(&p->appear);
	if (p->registered)
		vdpa_mgmtdev_unregister(&p->mgmt);
}

static const struct pci_device_id functions[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_INTEL, 0x10ca) },
	{ 0 },
};

static struct pci_driver vf_vdpa_driver = {
	.name = "vf_vdpa",
	.id_table = functions,
	.probe = vf_probe,
	.remove = vf_remove,
};
module_pci_driver(vf_vdpa_driver);

MODULE_DESCRIPTION("VFs of an emulated 82576 as vDPA management devices");
MODULE_LICENSE("GPL");
