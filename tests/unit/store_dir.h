/*
 * A fresh store in a directory of its own, for each test of the store.
 */
#ifndef TESTS_UNIT_STORE_DIR_H
#define TESTS_UNIT_STORE_DIR_H

#include <stdio.h>
#include <unistd.h>

#include "store/store.h"

struct store_dir {
	char path[40];
	struct store *store;
};

static inline void store_dir_open(struct store_dir *d)
{
	if (store_open(d->path, &d->store, NULL) < 0)
		abort();
}

static inline void store_dir_reopen(struct store_dir *d)
{
	d->store = store_close(d->store);
	store_dir_open(d);
}

static inline int store_dir_setup(void **state)
{
	struct store_dir *d = calloc(1, sizeof(*d));

	strcpy(d->path, "/tmp/test-store-XXXXXX");
	if (!mkdtemp(d->path))
		abort();
	store_dir_open(d);
	*state = d;
	return 0;
}

static inline int store_dir_teardown(void **state)
{
	static const char *const names[] = {"armvmd.sqlite",
					    "armvmd.sqlite-wal",
					    "armvmd.sqlite-shm", "lock"};
	struct store_dir *d = *state;
	char file[96];
	int r;

	store_close(d->store);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(file, sizeof(file), "%s/%s", d->path, names[i]);
		unlink(file);
	}
	r = rmdir(d->path);
	free(d);
	return r;
}

#define store_test(test)                                       \
	cmocka_unit_test_setup_teardown(test, store_dir_setup, \
					store_dir_teardown)

#endif
