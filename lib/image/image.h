/*
 * Does a disk image conform to the specification's image format (IMG-1 to
 * IMG-7)? Reads GPT, FAT32 and PE headers by itself; every number found in the
 * image is judged before use. Nothing is written.
 */
#ifndef LIB_IMAGE_IMAGE_H
#define LIB_IMAGE_IMAGE_H

#include <stdbool.h>

#include "lib/base/error.h"

enum image_verdict { IMAGE_PASS, IMAGE_FAIL, IMAGE_WARN, IMAGE_UNKNOWN };

#define IMAGE_FINDINGS_MAX 16

/*
 * UNKNOWN ("not judged"): an earlier clause failed, or the clause is about an
 * architecture the image does not offer. WARN counts as conformant.
 */
struct image_finding {
	const char *clause; /* "IMG-1" */
	enum image_verdict verdict;
	char text[256]; /* a predicate: "has no GUID partition table, ..." */
};

struct image_report {
	struct image_finding findings[IMAGE_FINDINGS_MAX];
	size_t count;
	bool bootable_aarch64, bootable_aarch32;
};

/*
 * Fills the report; returns 0 when the file could be read (conformant or not)
 * or -errno with a message naming `path` (a directory, unreadable, empty).
 * fd is borrowed; path is for messages only.
 */
int image_check(int fd, const char *path, struct image_report *ret,
		struct error *e) must_check;

/*
 * 0 when a VM of that architecture can boot from it; else -EBADMSG and the
 * first failing clause, with "See the whole report with: armvmctl image check
 * PATH" at the end.
 */
int image_report_bootable(const struct image_report *r, bool aarch64,
			  const char *path, struct error *e) must_check;

const char *image_verdict_name(enum image_verdict v);

#endif
