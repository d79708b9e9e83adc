/*
 * The clauses IMG-1 to IMG-7, in the order a firmware meets them: partition
 * table, system partition, file system, boot file, program. What rests on a
 * failed clause is not judged.
 */
#include "lib/image/image.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/image/fat.h"
#include "lib/image/gpt.h"
#include "lib/image/pe.h"

/* System partitions looked into; an image has one. */
#define ESP_MAX 4

struct arch {
	const char *name, *clause;
	const char *file;  /* as the spec writes it */
	const char *found; /* as fat_find() takes it */
};

static const struct arch aarch32 = {
	"AArch32", "IMG-6", "\\EFI\\BOOT\\BOOTARM.EFI", "EFI/BOOT/BOOTARM.EFI"};
static const struct arch aarch64 = {"AArch64", "IMG-7",
				    "\\EFI\\BOOT\\BOOTAA64.EFI",
				    "EFI/BOOT/BOOTAA64.EFI"};

/* What the system partition with the most to offer holds. */
struct esp {
	const struct gpt_partition *partition;
	struct fat fat;
	int open_result; /* of fat_open; 0: fat is usable */
	struct error why;
	int found32, found64; /* of fat_find */
	struct fat_file file32, file64;
};

static void __attribute__((format(printf, 4, 5)))
add(struct image_report *r, const char *clause, enum image_verdict verdict,
    const char *fmt, ...)
{
	struct image_finding *f;
	va_list args;

	if (r->count == IMAGE_FINDINGS_MAX)
		return;
	f = &r->findings[r->count++];
	f->clause = clause;
	f->verdict = verdict;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
}

static void add_unjudged(struct image_report *r, const char *const *clauses,
			 const char *because)
{
	for (; *clauses; clauses++)
		add(r, *clauses, IMAGE_UNKNOWN, "is not judged: %s", because);
}

/* What people hand over instead of a raw disk; NULL when nothing known. */
static const char *recognize(const struct disk *d)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *what;
	} known[] = {
		{"QFI\xfb", 4,
		 "a qcow2 image: convert it with qemu-img "
		 "convert -O raw"},
		{"KDMV", 4,
		 "a VMDK image: convert it with qemu-img convert "
		 "-O raw"},
		{"vhdxfile", 8,
		 "a VHDX image: convert it with qemu-img "
		 "convert -O raw"},
		{"\x1f\x8b", 2, "compressed with gzip: unpack it first"},
		{"\xfd"
		 "7zXZ",
		 5, "compressed with xz: unpack it first"},
		{"\x28\xb5\x2f\xfd", 4,
		 "compressed with zstd: unpack it "
		 "first"},
	};
	char head[8];

	if (disk_read(d, 0, head, sizeof(head)) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (memcmp(head, known[i].magic, known[i].size) == 0)
			return known[i].what;
	return NULL;
}

/* IMG-1; true when the other clauses can be judged. */
static bool judge_table(struct image_report *r, const struct disk *d,
			const struct gpt *g, bool found)
{
	const char *what = found ? NULL : recognize(d);

	if (what)
		add(r, "IMG-1", IMAGE_FAIL, "is %s", what);
	else if (!found && streq(g->primary_why, "is missing"))
		add(r, "IMG-1", IMAGE_FAIL,
		    "has no GUID partition table, so UEFI has nothing to boot "
		    "from");
	else if (!found)
		add(r, "IMG-1", IMAGE_FAIL,
		    "has a damaged GUID partition table: the primary copy %s, "
		    "the backup copy %s",
		    g->primary_why, g->backup_why);
	else if (g->sector_bytes != 512)
		add(r, "IMG-1", IMAGE_FAIL,
		    "has a GUID partition table for sectors of %u bytes, but a "
		    "VM sees sectors of 512: write the table anew",
		    g->sector_bytes);
	else if (!g->protective_mbr)
		add(r, "IMG-1", IMAGE_FAIL,
		    "has a GUID partition table without its protective MBR, "
		    "so UEFI does not look at it");
	else if (!g->primary || !g->backup)
		add(r, "IMG-1", IMAGE_WARN,
		    "has a GUID partition table, but its %s copy %s",
		    g->primary ? "backup" : "primary",
		    g->primary ? g->backup_why : g->primary_why);
	else
		add(r, "IMG-1", IMAGE_PASS,
		    "has a GUID partition table (%zu partition%s, both copies "
		    "sound)",
		    g->count, g->count == 1 ? "" : "s");
	return r->findings[r->count - 1].verdict != IMAGE_FAIL;
}

static void look_into(const struct disk *d, const struct gpt_partition *p,
		      struct esp *ret)
{
	*ret = (struct esp){
		.partition = p, .found32 = -ENOENT, .found64 = -ENOENT};
	ret->open_result = fat_open(d, p->start_bytes, p->size_bytes, &ret->fat,
				    &ret->why);
	if (ret->open_result < 0)
		return;
	ret->found32 = fat_find(&ret->fat, aarch32.found, &ret->file32);
	ret->found64 = fat_find(&ret->fat, aarch64.found, &ret->file64);
}

/* The first system partition with a boot file, else the first. */
static bool choose_esp(const struct disk *d, const struct gpt *g,
		       struct esp *ret)
{
	struct esp esp;
	size_t seen = 0;

	for (size_t i = 0; i < g->count && seen < ESP_MAX; i++) {
		if (!gpt_is_esp(&g->partitions[i]))
			continue;
		look_into(d, &g->partitions[i], &esp);
		if (seen++ == 0)
			*ret = esp;
		if (esp.found32 == 0 || esp.found64 == 0) {
			*ret = esp;
			break;
		}
	}
	return seen > 0;
}

/* IMG-5; true when files can be looked for. */
static bool judge_fat(struct image_report *r, const struct esp *esp)
{
	if (esp->open_result < 0) {
		add(r, "IMG-5", IMAGE_FAIL,
		    "has an EFI System Partition (number %u) that is not "
		    "FAT32: %.150s",
		    esp->partition->number, esp->why.message);
		return false;
	}
	if (esp->fat.bits != 32)
		add(r, "IMG-5", IMAGE_FAIL,
		    "has an EFI System Partition with FAT%u where FAT32 is "
		    "asked for: make it anew with mkfs.vfat -F 32",
		    esp->fat.bits);
	else if (esp->fat.clusters < 65525)
		add(r, "IMG-5", IMAGE_WARN,
		    "has an EFI System Partition with FAT32, but with %u "
		    "clusters where FAT32 asks for 65525; some systems take "
		    "it for FAT16",
		    esp->fat.clusters);
	else
		add(r, "IMG-5", IMAGE_PASS,
		    "has an EFI System Partition with FAT32");
	return true;
}

static void judge_file(struct image_report *r, const struct arch *arch,
		       int found, bool other_found)
{
	if (found == 0)
		add(r, arch->clause, IMAGE_PASS, "has %s", arch->file);
	else if (found != -ENOENT)
		add(r, arch->clause, IMAGE_FAIL,
		    "has a damaged file system on the way to %s (%s)",
		    arch->file, strerror(-found));
	else
		add(r, arch->clause, other_found ? IMAGE_UNKNOWN : IMAGE_FAIL,
		    "has no %s, so it does not boot on %s", arch->file,
		    arch->name);
}

struct program {
	const struct fat *fat;
	const struct fat_file *file;
};

static int read_program(void *cookie, uint64_t at, void *buf, size_t size)
{
	const struct program *p = cookie;

	return fat_read(p->fat, p->file, at, buf, size);
}

/* IMG-3 for one boot file; true when it is a program for `arch`. */
static bool judge_program(struct image_report *r, const struct arch *arch,
			  const struct fat *fat, const struct fat_file *file)
{
	struct program p = {.fat = fat, .file = file};
	struct error why = ERROR_INIT;
	struct pe_info pe;

	if (pe_read(read_program, &p, file->size_bytes, &pe, &why) < 0)
		add(r, "IMG-3", IMAGE_FAIL,
		    "has a %s that is no UEFI application: it %.120s",
		    arch->file, why.message);
	else if (!streq(pe_machine_name(pe.machine), arch->name))
		add(r, "IMG-3", IMAGE_FAIL,
		    "has a %s that is a program for %s (machine 0x%04x), not "
		    "for %s",
		    arch->file, pe_machine_name(pe.machine), pe.machine,
		    arch->name);
	else if (pe.subsystem != PE_SUBSYSTEM_EFI_APPLICATION)
		add(r, "IMG-3", IMAGE_FAIL,
		    "has a %s that is no UEFI application: its PE subsystem is "
		    "%u, not 10",
		    arch->file, pe.subsystem);
	else
		add(r, "IMG-3", IMAGE_PASS,
		    "has a %s that is a UEFI application (%s, %s)", arch->file,
		    arch->name,
		    pe.magic == PE_MAGIC_32_PLUS ? "PE32+" : "PE32");
	return r->findings[r->count - 1].verdict == IMAGE_PASS;
}

static void judge_esp(struct image_report *r, const struct esp *esp)
{
	static const char *const rest[] = {"IMG-2", "IMG-3", "IMG-6", "IMG-7",
					   NULL};
	bool has32 = esp->found32 == 0, has64 = esp->found64 == 0;
	bool fat32;

	add(r, "IMG-4", IMAGE_PASS,
	    "has an EFI System Partition (number %u, %llu MiB)",
	    esp->partition->number,
	    (unsigned long long)(esp->partition->size_bytes >> 20));
	if (!judge_fat(r, esp)) {
		add_unjudged(r, rest, "the file system cannot be read");
		return;
	}
	fat32 = esp->fat.bits == 32;
	if (has32 || has64)
		add(r, "IMG-2", IMAGE_PASS,
		    "has bootable software at the removable media path");
	else
		add(r, "IMG-2", IMAGE_FAIL,
		    "has an EFI System Partition without %s or BOOTARM.EFI, so "
		    "UEFI finds nothing to boot",
		    aarch64.file);
	judge_file(r, &aarch32, esp->found32, has64);
	judge_file(r, &aarch64, esp->found64, has32);
	if (has32)
		r->bootable_aarch32 = judge_program(r, &aarch32, &esp->fat,
						    &esp->file32) &&
				      fat32;
	if (has64)
		r->bootable_aarch64 = judge_program(r, &aarch64, &esp->fat,
						    &esp->file64) &&
				      fat32;
	if (!has32 && !has64)
		add(r, "IMG-3", IMAGE_UNKNOWN,
		    "is not judged: there is no boot file");
}

int image_check(int fd, const char *path, struct image_report *ret,
		struct error *e)
{
	static const char *const all[] = {"IMG-4", "IMG-5", "IMG-2", "IMG-3",
					  "IMG-6", "IMG-7", NULL};
	_cleanup_free_ struct gpt *g = malloc(sizeof(*g));
	struct esp esp;
	struct disk d;
	int r;

	if (!g)
		return error_set(e, -ENOMEM, "out of memory");
	r = disk_init(&d, fd, path, e);
	if (r < 0)
		return r;
	r = gpt_read(&d, g);
	if (r < 0 && r != -EBADMSG)
		return error_set(e, r, "cannot read disk \"%s\": %s", path,
				 strerror(-r));
	memset(ret, 0, sizeof(*ret));
	if (!judge_table(ret, &d, g, r == 0)) {
		add_unjudged(ret, all, "there is no usable partition table");
	} else if (!choose_esp(&d, g, &esp)) {
		add(ret, "IMG-4", IMAGE_FAIL,
		    "has no partition of the type EFI System Partition "
		    "(C12A7328-F81F-11D2-BA4B-00A0C93EC93B)");
		add_unjudged(ret, all + 1, "there is no EFI System Partition");
	} else {
		judge_esp(ret, &esp);
	}
	return 0;
}

/* The finding to blame: the first that failed and concerns `arch`. */
static const struct image_finding *blame(const struct image_report *r,
					 const struct arch *arch)
{
	const struct image_finding *f;

	for (size_t i = 0; i < r->count; i++) {
		f = &r->findings[i];
		if (streq(f->clause, arch->clause) && f->verdict != IMAGE_PASS)
			return f;
		if (f->verdict != IMAGE_FAIL || streq(f->clause, "IMG-6") ||
		    streq(f->clause, "IMG-7"))
			continue;
		if (!streq(f->clause, "IMG-3") || strstr(f->text, arch->file))
			return f;
	}
	return NULL;
}

int image_report_bootable(const struct image_report *r, bool is_aarch64,
			  const char *path, struct error *e)
{
	const struct arch *arch = is_aarch64 ? &aarch64 : &aarch32;
	const struct image_finding *f;

	if (is_aarch64 ? r->bootable_aarch64 : r->bootable_aarch32)
		return 0;
	f = blame(r, arch);
	return error_set(e, -EBADMSG,
			 "disk \"%.100s\" %.200s (%s). See the whole report "
			 "with: armvmctl image check %.100s",
			 path, f ? f->text : "is not bootable",
			 f ? f->clause : arch->clause, path);
}

const char *image_verdict_name(enum image_verdict v)
{
	static const char *const names[] = {
		[IMAGE_PASS] = "pass",
		[IMAGE_FAIL] = "fail",
		[IMAGE_WARN] = "warning",
		[IMAGE_UNKNOWN] = "not judged",
	};

	return names[v];
}
