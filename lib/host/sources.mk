SRCS += lib/host/blockdev.c lib/host/blockdev_pool.c lib/host/blockdev_uring.c \
	lib/host/chardev.c lib/host/chardev_seats.c lib/host/netdev.c lib/host/netdev_stream.c
TESTS += tests/unit/test_chardev.c tests/unit/test_chardev_seats.c
TESTS += tests/unit/test_blockdev.c tests/unit/test_netdev.c tests/unit/test_netdev_stream.c
SRCS += lib/host/vhost_kernel.c lib/host/vhost_net.c
TESTS += tests/unit/test_vhost_kernel.c tests/unit/test_vhost_net.c
SRCS += lib/host/vhost_user.c lib/host/vhost_user_talk.c lib/host/vhost_user_wire.c
TESTS += tests/unit/test_vhost_user.c
SRCS += lib/host/io_ring.c lib/host/io_ring_loop.c lib/host/loop_event.c
TESTS += tests/unit/test_io_ring.c tests/unit/test_loop_event.c
