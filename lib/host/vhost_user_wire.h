/*
 * Messages of the vhost-user protocol (QEMU, docs/interop/vhost-user), as the
 * front end has them: whole requests out, with descriptors; replies in, each
 * to one request, judged. Whoever answers is hostile input: a reply has the
 * request's number, version 1, and exactly the size that belongs to it, and
 * comes before a deadline.
 *
 * Thread: any, one call at a time for a socket.
 */
#ifndef LIB_HOST_VHOST_USER_WIRE_H
#define LIB_HOST_VHOST_USER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/host/vhost.h"

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
};

/* Among the feature bits: the protocol has features of its own. */
#define VHOST_USER_F_PROTOCOL_FEATURES (1ull << 30)

#define VHOST_USER_PROTOCOL_F_MQ	(1ull << 0)
#define VHOST_USER_PROTOCOL_F_REPLY_ACK (1ull << 3)

struct vhost_user_header {
	uint32_t request, flags, size;
} __attribute__((packed));

struct vhost_user_region {
	uint64_t gpa, size_bytes;
	uint64_t user_address; /* ours: rings are named by such */
	uint64_t offset;       /* in its file */
};

union vhost_user_payload {
	uint64_t u64;
	struct {
		uint32_t index, num;
	} state;
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} address;
	struct {
		uint32_t count, padding;
		struct vhost_user_region regions[VHOST_REGIONS_MAX];
	} memory;
};

struct vhost_user_message {
	enum vhost_user_request request;
	bool want_ack; /* only where REPLY_ACK was agreed on */
	uint32_t size; /* of the payload that counts */
	union vhost_user_payload payload;
	int fds[VHOST_REGIONS_MAX]; /* borrowed */
	unsigned n_fds;
};

/* Monotonic milliseconds from now. */
uint64_t vhost_user_deadline(unsigned ms);

/* Whole or not at all: -ETIMEDOUT when the socket takes no more until then. */
int vhost_user_send(int fd, const struct vhost_user_message *m,
		    uint64_t deadline, struct error *e) must_check;

/*
 * The reply to `request`, of exactly `size` bytes. -ETIMEDOUT; -EPROTO when it
 * is another one or malformed; -EPIPE when the other end is closed. After a
 * failure nobody knows what comes next: close the socket.
 */
int vhost_user_receive(int fd, enum vhost_user_request request, uint32_t size,
		       union vhost_user_payload *ret, uint64_t deadline,
		       struct error *e) must_check;

#endif
