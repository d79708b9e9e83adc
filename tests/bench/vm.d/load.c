/*
 * The load of the benchmark, in the guest: static, so that it runs anywhere.
 *
 *   load DEVICE randread|randwrite|read|write BLOCK DEPTH SECONDS
 *   load DEVICE flush - - COUNT      COUNT times: write 4 KiB, fdatasync
 *   load - serve|send PORT|HOST:PORT - SECONDS
 *
 * Prints "requests N bytes N seconds S".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 64

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void report(uint64_t requests, uint64_t bytes, double began)
{
	printf("requests %llu bytes %llu seconds %.6f\n",
	       (unsigned long long)requests, (unsigned long long)bytes,
	       now() - began);
}

struct load {
	int fd;
	aio_context_t aio;
	struct iocb iocbs[DEPTH_MAX];
	uint64_t size, block, next, seed;
	int random, opcode;
	char *buffer;
};

static uint64_t offset(struct load *l)
{
	uint64_t blocks = l->size / l->block;

	l->seed = l->seed * 6364136223846793005ull + 1442695040888963407ull;
	if (l->random)
		return (l->seed >> 33) % blocks * l->block;
	return l->next++ % blocks * l->block;
}

static void submit(struct load *l, struct iocb *cb)
{
	unsigned i = (unsigned)(cb - l->iocbs);

	*cb = (struct iocb){
		.aio_data = (uintptr_t)cb,
		.aio_lio_opcode = (uint16_t)l->opcode,
		.aio_fildes = (uint32_t)l->fd,
		.aio_buf = (uintptr_t)(l->buffer + i * l->block),
		.aio_nbytes = l->block,
		.aio_offset = (int64_t)offset(l),
	};
	if (syscall(SYS_io_submit, l->aio, 1L, &cb) != 1)
		die("io_submit");
}

static void run(struct load *l, unsigned depth, double seconds)
{
	struct io_event events[DEPTH_MAX];
	double began = now();
	uint64_t done = 0;
	unsigned busy = depth;

	for (unsigned i = 0; i < depth; i++)
		submit(l, &l->iocbs[i]);
	while (busy > 0) {
		long n = syscall(SYS_io_getevents, l->aio, 1L, (long)DEPTH_MAX,
				 events, NULL);
		int more = now() - began < seconds;

		if (n < 1)
			die("io_getevents");
		for (long i = 0; i < n; i++) {
			if (events[i].res != (int64_t)l->block)
				die("an I/O error");
			done++;
			if (more)
				submit(l, (struct iocb *)(uintptr_t)events[i]
						  .data);
			else
				busy--;
		}
	}
	report(done, done * l->block, began);
}

static void flush(struct load *l, long count)
{
	double began = now();

	for (long i = 0; i < count; i++)
		if (pwrite(l->fd, l->buffer, 4096, i * 4096) != 4096 ||
		    fdatasync(l->fd))
			die("flush");
	report((uint64_t)count, (uint64_t)count * 4096, began);
}

static void serve(int port, double seconds)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port)};
	int one = 1, s = socket(AF_INET, SOCK_STREAM, 0), c;
	static char buffer[1 << 18];
	uint64_t bytes = 0, reads = 0;
	double began;
	ssize_t n;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, 1))
		die("listen");
	c = accept(s, NULL, NULL);
	began = now();
	while ((n = read(c, buffer, sizeof(buffer))) > 0) {
		bytes += (uint64_t)n;
		reads++;
	}
	(void)seconds;
	report(reads, bytes, began);
}

static void send_to(char *where, double seconds)
{
	char *colon = strchr(where, ':');
	struct sockaddr_in at = {.sin_family = AF_INET};
	static char buffer[1 << 18];
	int s = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t bytes = 0, writes = 0;
	double began;

	*colon = 0;
	inet_aton(where, &at.sin_addr);
	at.sin_port = htons((uint16_t)atoi(colon + 1));
	if (connect(s, (struct sockaddr *)&at, sizeof(at)))
		die("connect");
	began = now();
	while (now() - began < seconds) {
		ssize_t n = write(s, buffer, sizeof(buffer));

		if (n < 0)
			die("write");
		bytes += (uint64_t)n;
		writes++;
	}
	report(writes, bytes, began);
}

int main(int argc, char **argv)
{
	struct load l = {.seed = 88172645463325252ull};
	int writes;

	if (argc != 6)
		die("load: DEVICE WHAT BLOCK DEPTH SECONDS");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(argv[2], "serve"))
		return serve(atoi(argv[3]), atof(argv[5])), 0;
	if (!strcmp(argv[2], "send"))
		return send_to(argv[3], atof(argv[5])), 0;
	writes = strstr(argv[2], "write") || !strcmp(argv[2], "flush");
	l.fd = open(argv[1], (writes ? O_RDWR : O_RDONLY) | O_DIRECT);
	l.block = strtoull(argv[3], NULL, 0);
	if (l.fd < 0 || ioctl(l.fd, BLKGETSIZE64, &l.size))
		die(argv[1]);
	if (posix_memalign((void **)&l.buffer, 4096,
			   l.block * DEPTH_MAX + 4096))
		die("memory");
	memset(l.buffer, 0x5a, l.block * DEPTH_MAX + 4096);
	if (!strcmp(argv[2], "flush")) {
		flush(&l, atol(argv[5]));
		return 0;
	}
	l.random = !strncmp(argv[2], "rand", 4);
	l.opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	if (syscall(SYS_io_setup, DEPTH_MAX, &l.aio))
		die("io_setup");
	run(&l, (unsigned)atoi(argv[4]), atof(argv[5]));
	return 0;
}
