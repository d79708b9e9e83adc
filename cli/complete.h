/*
 * Shell completion: what the scripts of cli/completion.c ask for with
 * `armvmctl completion words`.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "cli/cli.h"
#include "lib/base/buf.h"

/*
 * The words behind "armvmctl" up to the one to complete, which is the last and
 * may be empty. Appends lines, "WORD<tab>what it is" or ":files" alone, for
 * the shell to offer files. Without a daemon there are no names of VMs. The
 * words are borrowed by `cli` (--socket). -ENOMEM.
 */
int cli_complete(struct cli *cli, char *const *words, size_t n,
		 struct buf *out) must_check;

#endif
