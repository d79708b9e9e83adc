SRCS += lib/host/blockdev.c lib/host/blockdev_pool.c lib/host/blockdev_uring.c \
	lib/host/chardev.c lib/host/chardev_seats.c lib/host/netdev.c
TESTS += tests/unit/test_chardev.c tests/unit/test_chardev_seats.c
TESTS += tests/unit/test_blockdev.c tests/unit/test_netdev.c
SRCS += lib/host/vhost_kernel.c
TESTS += tests/unit/test_vhost_kernel.c
