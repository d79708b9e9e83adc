/*
 * Frames over a stream socket, as QEMU's stream netdev has them and passt(1)
 * speaks: a length (4 bytes, big-endian), then a frame that long. Many frames
 * share one system call in either direction.
 *
 * The peer is not trusted: a length that no frame has ends the stream.
 *
 * Thread: none; the owner's.
 */
#ifndef LIB_HOST_NETDEV_STREAM_H
#define LIB_HOST_NETDEV_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/base/util.h"

struct netdev_stream;

/* `fd` is borrowed: non-blocking. NULL: out of memory. */
struct netdev_stream *netdev_stream_new(int fd);
struct netdev_stream *netdev_stream_free(struct netdev_stream *s);

/*
 * One frame, behind a header of zeroes (NETDEV_HEADER_BYTES). What does not
 * fit the buffers is lost. Bytes; -EAGAIN; 0 at the end of the stream, -EPROTO
 * for a length that cannot be, or another -errno.
 */
ssize_t netdev_stream_recv(struct netdev_stream *s, const struct iovec *iov,
			   int count);
/*
 * One frame; its header is not sent. Bytes with header, or -EAGAIN and nothing
 * taken, or another -errno. It may stay until netdev_stream_flush().
 */
ssize_t netdev_stream_send(struct netdev_stream *s, const struct iovec *iov,
			   int count);
/* 0: all that was taken is on its way. -EAGAIN: again when it is writable. */
int netdev_stream_flush(struct netdev_stream *s);

#endif
