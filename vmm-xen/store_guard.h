/*
 * Whether xenstored is there: asked before anything of Xen's libraries is, and
 * watched for from then on. libxenstore tells nobody that its connection has
 * ended; and where nobody listens at xenstored's socket it goes to the kernel's
 * device instead, where a question is never answered (Xen, tools/libs/store/
 * xs.c).
 *
 * Where there is no socket (xenstore in a domain of its own, or none at all)
 * the device is asked, and nothing can be watched.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_XEN_STORE_GUARD_H
#define VMM_XEN_STORE_GUARD_H

#include <stdbool.h>
#include <uv.h>

#include "lib/base/error.h"

struct store_guard;

/*
 * `lost` comes once, from the loop: xenstored has ended, or somebody else is
 * it now, who knows nothing of this host's guests. With `loop` NULL it is only
 * asked, and *ret is NULL; so it is where nothing can be watched.
 * -ENODEV: it is not there, for certain; -ETIMEDOUT: it does not answer, after
 * 8 s, or hung up; else what this process lacks.
 */
int store_guard_open(uv_loop_t *loop, void (*lost)(void *cookie), void *cookie,
		     struct store_guard **ret, struct error *e) must_check;
/* Memory goes at the loop's next turns; NULL is fine. */
struct store_guard *store_guard_free(struct store_guard *g);
/* False once it has ended; asked now, whatever the loop has seen. NULL: true,
 * for all that is known. */
bool store_guard_holds(const struct store_guard *g);

#endif
