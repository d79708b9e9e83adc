/*
 * Small things every file needs: scope-bound cleanup, ownership transfer,
 * array sizes. Header only; includes libc alone.
 *
 * Ownership idiom: a local declared with one of the _cleanup_* attributes is
 * released on every path out of its scope; success hands it on with TAKE_PTR
 * or TAKE_FD, which leave NULL or -1 behind.
 */
#ifndef LIB_BASE_UTIL_H
#define LIB_BASE_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h> /* MIN, MAX; libuv includes it too */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KIB(n)	      ((uint64_t)(n) << 10)
#define MIB(n)	      ((uint64_t)(n) << 20)
#define GIB(n)	      ((uint64_t)(n) << 30)

/* align must be a power of two. */
#define DIV_ROUND_UP(x, n)   (((x) + ((n)-1)) / (n))
#define ALIGN_UP(x, align)   (((x) + ((align)-1)) & ~((__typeof__(x))(align)-1))
#define ALIGN_DOWN(x, align) ((x) & ~((__typeof__(x))(align)-1))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))

#define must_check	       __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#define TAKE_PTR(p)                             \
	({                                      \
		__typeof__(p) taken_ptr_ = (p); \
		(p) = NULL;                     \
		taken_ptr_;                     \
	})

#define TAKE_FD(fd)                   \
	({                            \
		int taken_fd_ = (fd); \
		(fd) = -1;            \
		taken_fd_;            \
	})

/* DEFINE_CLEANUP(x_free, struct x *) makes x_freep for _cleanup_(x_freep). */
#define DEFINE_CLEANUP(func, type)          \
	static inline void func##p(type *p) \
	{                                   \
		if (*p)                     \
			func(*p);           \
	}

#define _cleanup_(f) __attribute__((cleanup(f), unused))

static inline void util_freep(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(util_freep)

static inline int streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

#endif
