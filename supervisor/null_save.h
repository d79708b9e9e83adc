/*
 * Snapshots of the null backend: its guest has a note and a memory as heavy and
 * as slow as it was told, and still has both when it is restored.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_NULL_SAVE_H
#define SUPERVISOR_NULL_SAVE_H

#include "lib/vmm/vmm.h"

struct null_memory {
	char note[64];
	uint32_t mib, ms_per_mib;
};

/* Obeys "note TEXT" and "weight MIB MS"; false: it was neither. */
bool null_memory_word(struct null_memory *m, const char *line);

struct null_save;

/* As the operations of struct vmm_ops. */
int null_save_begin(uv_loop_t *loop, const struct null_memory *m,
		    const struct vmm_save *params, struct null_save **ret,
		    struct error *e) must_check;
void null_save_progress(struct null_save *s, uint64_t *ret_done,
			uint64_t *ret_total);
/* Ends it without a word; NULL is fine. Memory goes when the loop has run. */
struct null_save *null_save_drop(struct null_save *s);

/* What a snapshot holds; `fd` is borrowed. */
int null_load(int fd, struct null_memory *ret, struct error *e) must_check;

#endif
