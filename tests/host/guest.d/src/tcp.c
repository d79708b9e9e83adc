/*
 * One TCP connection, in large pieces: what busybox's nc cuts small.
 *   tcp HOST PORT BYTES    send that many bytes (a pattern) and wait for the
 * end tcp HOST PORT          receive until the end, to standard output Either
 * tells bytes and seconds on standard error.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE (256 * 1024)

static uint8_t piece[PIECE];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long long send_all(int fd, long long bytes)
{
	long long left = bytes;

	for (size_t i = 0; i < PIECE; i++)
		piece[i] = (uint8_t)(i * 31 + (i >> 8));
	while (left > 0) {
		ssize_t n = write(fd, piece,
				  left < PIECE ? (size_t)left : PIECE);

		if (n < 0)
			break;
		left -= n;
	}
	shutdown(fd, SHUT_WR);
	while (read(fd, piece, PIECE) > 0)
		;
	return bytes - left;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	long long bytes = 0;
	double began;
	ssize_t n;

	if (argc < 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror(argv[1]);
		return 1;
	}
	began = now();
	if (argc > 3)
		bytes = send_all(fd, atoll(argv[3]));
	while (argc == 3 && (n = read(fd, piece, PIECE)) > 0) {
		if (write(STDOUT_FILENO, piece, (size_t)n) != n)
			return 1;
		bytes += n;
	}
	fprintf(stderr, "%lld bytes in %.3f s\n", bytes, now() - began);
	return 0;
}
