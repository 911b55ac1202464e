/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_MESSAGES_H
#define VNETD_MESSAGES_H
/*
 * MESSAGE_ID of what an administrator has to act on, for log_event(). Each has an entry
 * in vnetd.catalog, which `journalctl -x` shows beside the message: what happened, why
 * it matters, what to do. tests/docs holds the two against each other. An id is never
 * used for something else, and never given again: make one by `systemd-id128 new`.
 */

/* An attachment that is not over and that vnetd does not go on with by itself. */
#define MSG_ATTACHMENT_STUCK "c2a52266779846e49dbea20c367f7fb4"
/* A setting could not be put back. */
#define MSG_RESIDUE "04461de0a1ee4cf5af0a5b455096798c"
/* A setting was changed by somebody else, and left as it is. */
#define MSG_FOREIGN_CHANGE "8bb4cbb2f3394b62b3f2776081b7763b"
/* The guest was asked to let go of a NIC and still has it. */
#define MSG_GUEST_KEEPS_NIC "c1e3961ad38d452b94e3afaa3e916941"
/* A worker does not come back from the kernel. */
#define MSG_WORKER_STUCK "cac2be7f6d914549b1bf2aa6e0c54fc6"
/* A file of vnetd's own state was moved aside. */
#define MSG_STATE_UNREADABLE "7da8376a4a8f4fd6819efc3ba07c182a"
/* A NIC that a guest has cannot be taken over, or not be put back later. */
#define MSG_ADOPT_FAILED "fcf762550efb4bbdb705e46fd18c6311"
/* The kernel told of more events than could be taken. */
#define MSG_EVENTS_LOST "3569d993979d4597a77aacfaf1464fb0"
/* Guests cannot be asked. */
#define MSG_LIBVIRT_UNREACHABLE "9257af3add404af1b2b2683465b595a5"
/* A mode is missing. */
#define MSG_PLUGIN_REFUSED "a898960348f040f79f7d21c163e3736b"
/* The configuration has an error that is of no single pool. */
#define MSG_CONFIG_PROBLEM "b07764d8e1534728b449b7c72d31587d"
/* A pool's section has an error: it serves nothing. */
#define MSG_POOL_DISABLED "168c0b444a5240da8df584f2792ee1a0"
#endif
