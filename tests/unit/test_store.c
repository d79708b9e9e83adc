#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/store_dir.h"

#define UUID_A "11111111-1111-4111-8111-111111111111"
#define UUID_B "22222222-2222-4222-8222-222222222222"

static int64_t add(struct store *s, const char *uuid, const char *name)
{
	int64_t id = 0;

	assert_int_equal(store_vm_add(s, uuid, name, "{}", &id, NULL), 0);
	return id;
}

static void test_vm_round_trip(void **state)
{
	struct store_dir *d = *state;
	struct store_vm vm = {0};
	int64_t id = 0, now = (int64_t)time(NULL) * 1000;

	assert_int_equal(store_vm_add(d->store, UUID_A, "web", "{\"vcpus\":2}",
				      &id, NULL),
			 0);
	store_dir_reopen(d);
	assert_int_equal(store_vm_get(d->store, "web", &vm, NULL), 0);
	assert_int_equal(vm.id, id);
	assert_string_equal(vm.uuid, UUID_A);
	assert_string_equal(vm.name, "web");
	assert_string_equal(vm.config, "{\"vcpus\":2}");
	assert_int_equal(vm.revision, 1);
	assert_in_range(vm.created_ms, now - 1000, now + 60000);
	store_vm_done(&vm);
	assert_int_equal(store_vm_get(d->store, UUID_A, &vm, NULL), 0);
	assert_int_equal(vm.id, id);
	store_vm_done(&vm);
}

static void test_vm_missing(void **state)
{
	struct store_dir *d = *state;
	struct store_vm vm = {0};
	struct error e = ERROR_INIT;

	assert_int_equal(store_vm_get(d->store, "wbe", &vm, &e), -ENOENT);
	assert_string_equal(e.message, "no VM named \"wbe\"");
	assert_null(vm.name);
	assert_int_equal(store_vm_delete(d->store, 17, &e), -ENOENT);
}

static void test_vm_taken(void **state)
{
	struct store_dir *d = *state;
	struct error e = ERROR_INIT;
	int64_t id = -7;

	add(d->store, UUID_A, "web");
	assert_int_equal(store_vm_add(d->store, UUID_B, "web", "{}", &id, &e),
			 -EEXIST);
	assert_non_null(strstr(e.message, "named \"web\""));
	assert_int_equal(store_vm_add(d->store, UUID_A, "db", "{}", &id, &e),
			 -EEXIST);
	assert_non_null(strstr(e.message, UUID_A));
	assert_non_null(strstr(e.message, "\"web\""));
	/* A name that is another's uuid would make lookups ambiguous. */
	assert_int_equal(store_vm_add(d->store, UUID_B, UUID_A, "{}", &id, &e),
			 -EEXIST);
	assert_int_equal(id, -7);
}

static void test_ids_never_come_back(void **state)
{
	struct store_dir *d = *state;
	int64_t first = add(d->store, UUID_A, "web"), second;

	assert_int_equal(store_vm_delete(d->store, first, NULL), 0);
	store_dir_reopen(d);
	second = add(d->store, UUID_A, "web");
	assert_true(second > first);
}

struct names {
	char text[256];
	struct store *store;
	int stop_after;
};

static int note_name(void *cookie, const struct store_vm *vm)
{
	struct names *n = cookie;

	strcat(n->text, vm->name);
	strcat(n->text, " ");
	/* Callbacks may write. */
	if (n->store)
		assert_int_equal(store_vm_delete(n->store, vm->id, NULL), 0);
	return --n->stop_after == 0;
}

static void test_vm_each(void **state)
{
	struct store_dir *d = *state;
	struct names n = {.text = ""};

	add(d->store, UUID_A, "web");
	add(d->store, UUID_B, "db");
	add(d->store, "33333333-3333-4333-8333-333333333333", "build");
	assert_int_equal(
		store_vm_each(d->store, STORE_VM_ALL, note_name, &n, NULL), 0);
	assert_string_equal(n.text, "build db web ");
	n = (struct names){.stop_after = 2};
	assert_int_equal(
		store_vm_each(d->store, STORE_VM_ALL, note_name, &n, NULL), 0);
	assert_string_equal(n.text, "build db ");
	n = (struct names){.store = d->store};
	assert_int_equal(
		store_vm_each(d->store, STORE_VM_ALL, note_name, &n, NULL), 0);
	n = (struct names){.text = ""};
	assert_int_equal(
		store_vm_each(d->store, STORE_VM_ALL, note_name, &n, NULL), 0);
	assert_string_equal(n.text, "");
}

static int note_run(void *cookie, const struct store_run *run)
{
	*(struct store_run *)cookie = *run;
	return 0;
}

static void test_run(void **state)
{
	struct store_dir *d = *state;
	struct store_run run = {.start_time = UINT64_MAX - 5}, seen = {0};
	struct error e = ERROR_INIT;
	int64_t found = -1;
	char *live = NULL;

	run.vm_id = add(d->store, UUID_A, "web");
	strcpy(run.boot_id, "0af1b9d5-9e56-4d41-8a53-1ba0dc5c1d3f");
	assert_int_equal(store_run_set(d->store, &run, NULL), 0);
	run.pid = 4711;
	assert_int_equal(store_run_set(d->store, &run, NULL), 0);
	store_dir_reopen(d);
	assert_int_equal(store_run_each(d->store, note_run, &seen, NULL), 0);
	assert_int_equal(seen.vm_id, run.vm_id);
	assert_int_equal(seen.pid, 4711);
	assert_true(seen.start_time == UINT64_MAX - 5);
	assert_string_equal(seen.boot_id, run.boot_id);
	assert_int_equal(store_run_live(d->store, run.vm_id, &live, NULL), 0);
	assert_string_equal(live, "[]");
	free(live);
	assert_int_equal(store_run_set_live(d->store, run.vm_id, "[1]", NULL),
			 0);
	assert_int_equal(store_run_live(d->store, run.vm_id, &live, NULL), 0);
	assert_string_equal(live, "[1]");
	free(live);
	assert_int_equal(store_run_live_find(d->store, "1]", &found, NULL), 0);
	assert_int_equal(found, run.vm_id);
	assert_int_equal(store_run_live_find(d->store, "2]", &found, NULL), 0);
	assert_int_equal(found, 0);
	run.goes_on = true; /* with another supervisor, not another run */
	assert_int_equal(store_run_set(d->store, &run, NULL), 0);
	assert_int_equal(store_run_live(d->store, run.vm_id, &live, NULL), 0);
	assert_string_equal(live, "[1]");
	free(live);
	run.goes_on = false;
	assert_int_equal(store_run_set(d->store, &run, NULL), 0);
	assert_int_equal(store_run_live(d->store, run.vm_id, &live, NULL), 0);
	assert_string_equal(live, "[]");
	free(live);
	assert_int_equal(store_run_clear(d->store, run.vm_id, NULL), 0);
	assert_int_equal(store_run_live(d->store, run.vm_id, &live, &e),
			 -ENOENT);
	assert_int_equal(store_run_set_live(d->store, run.vm_id, "[1]", &e),
			 -ENOENT);
	assert_int_equal(store_run_clear(d->store, run.vm_id, NULL), 0);
	seen.pid = 0;
	assert_int_equal(store_run_each(d->store, note_run, &seen, NULL), 0);
	assert_int_equal(seen.pid, 0);
	run.vm_id = 99;
	assert_int_equal(store_run_set(d->store, &run, &e), -ENOENT);
}

struct journal {
	char text[256];
	int stop_after;
};

static int note_event(void *cookie, const struct store_event *ev)
{
	struct journal *j = cookie;
	size_t n = strlen(j->text);

	snprintf(j->text + n, sizeof(j->text) - n, "%lld:%s:%s:%s ",
		 (long long)ev->seq, ev->vm_uuid ? "vm" : "-", ev->kind,
		 ev->text);
	return --j->stop_after == 0;
}

static void test_events(void **state)
{
	struct store_dir *d = *state;
	struct journal j = {.text = ""};
	int64_t seq = 0, at = 0;

	assert_int_equal(store_event_add(d->store, UUID_A, "state", "{1}", &seq,
					 &at, NULL),
			 0);
	assert_int_equal(seq, 1);
	assert_true(at > 1000000000000);
	assert_int_equal(store_event_add(d->store, NULL, "daemon", "{2}", NULL,
					 NULL, NULL),
			 0);
	/* A failure leaves no gap. */
	store_fail_after(d->store, 0, -ENOSPC);
	assert_int_equal(
		store_event_add(d->store, NULL, "lost", "{}", &seq, NULL, NULL),
		-ENOSPC);
	assert_int_equal(store_begin(d->store, NULL), 0);
	assert_int_equal(store_event_add(d->store, NULL, "undone", "{}", &seq,
					 NULL, NULL),
			 0);
	store_rollback(d->store);
	assert_int_equal(
		store_event_add(d->store, NULL, "x", "{3}", &seq, NULL, NULL),
		0);
	assert_int_equal(seq, 3);
	assert_int_equal(
		store_event_each(d->store, 0, -1, note_event, &j, NULL), 0);
	assert_string_equal(j.text, "1:vm:state:{1} 2:-:daemon:{2} 3:-:x:{3} ");
	j = (struct journal){.text = ""};
	assert_int_equal(store_event_each(d->store, 1, 1, note_event, &j, NULL),
			 0);
	assert_string_equal(j.text, "2:-:daemon:{2} ");
	j = (struct journal){.stop_after = 1};
	assert_int_equal(
		store_event_each(d->store, 0, -1, note_event, &j, NULL), 0);
	assert_string_equal(j.text, "1:vm:state:{1} ");
}

static bool exists(struct store *s, const char *name)
{
	struct store_vm vm = {0};
	int r = store_vm_get(s, name, &vm, NULL);

	store_vm_done(&vm);
	return r == 0;
}

static void test_one_transaction_around_several(void **state)
{
	struct store_dir *d = *state;
	int64_t id;

	assert_int_equal(store_begin(d->store, NULL), 0);
	add(d->store, UUID_A, "a");
	assert_int_equal(
		store_vm_add(d->store, UUID_A, "twice", "{}", &id, NULL),
		-EEXIST);
	add(d->store, UUID_B, "b");
	assert_int_equal(store_commit(d->store, NULL), 0);
	store_dir_reopen(d);
	assert_true(exists(d->store, "a") && exists(d->store, "b"));

	assert_int_equal(store_begin(d->store, NULL), 0);
	add(d->store, "33333333-3333-4333-8333-333333333333", "c");
	store_rollback(d->store);
	store_rollback(d->store); /* nothing left: no harm */
	assert_false(exists(d->store, "c"));

	/* Closing without commit undoes. */
	assert_int_equal(store_begin(d->store, NULL), 0);
	add(d->store, "33333333-3333-4333-8333-333333333333", "c");
	store_dir_reopen(d);
	assert_false(exists(d->store, "c"));
}

static void test_injected_failures(void **state)
{
	struct store_dir *d = *state;
	struct error e = ERROR_INIT;
	int64_t id = -7;

	store_fail_after(d->store, 1, -ENOSPC);
	add(d->store, UUID_A, "a");
	assert_int_equal(store_vm_add(d->store, UUID_B, "b", "{}", &id, &e),
			 -ENOSPC);
	assert_int_equal(e.code, ERROR_NO_SPACE);
	assert_int_equal(id, -7);
	assert_false(exists(d->store, "b"));
	add(d->store, UUID_B, "b");
	store_fail_after(d->store, 0, -EIO);
	store_fail_after(d->store, -1, 0);
	assert_int_equal(store_vm_delete(d->store, 1, NULL), 0);
}

static void test_second_daemon_is_refused(void **state)
{
	struct store_dir *d = *state;
	struct store *other = NULL;
	struct error e = ERROR_INIT;
	char pid[32];

	assert_int_equal(store_open(d->path, &other, &e), -EBUSY);
	assert_null(other);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
	assert_non_null(strstr(e.message, pid));
	assert_non_null(strstr(e.message, d->path));
}

static void test_files_are_private(void **state)
{
	struct store_dir *d = *state;
	char file[96];
	struct stat st;

	snprintf(file, sizeof(file), "%s/armvmd.sqlite", d->path);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_bad_directories(void **state)
{
	struct store *s = NULL;
	struct error e = ERROR_INIT;

	assert_int_equal(store_open("/nonexistent/dir", &s, &e), -ENOENT);
	assert_non_null(strstr(e.message, "/nonexistent/dir"));
	assert_int_equal(store_open("/dev/null", &s, &e), -ENOTDIR);
	assert_null(s);
	assert_null(store_close(NULL));
}

/* The child says on the pipe which numbers were acknowledged, until killed. */
static void commit_forever(const char *path, int out)
{
	struct store *s = NULL;
	int64_t seq, id;
	char text[32];

	if (store_open(path, &s, NULL) < 0)
		_exit(1);
	for (;;) {
		/* Two rows that must come together. */
		if (store_begin(s, NULL) < 0 ||
		    store_event_add(s, NULL, "one", "{}", &seq, NULL, NULL) < 0)
			_exit(2);
		snprintf(text, sizeof(text), "vm%lld", (long long)seq);
		if (store_vm_add(s, text, text, "{}", &id, NULL) < 0 ||
		    store_commit(s, NULL) < 0)
			_exit(3);
		if (write(out, &seq, sizeof(seq)) != sizeof(seq))
			_exit(4);
	}
}

static int64_t run_and_kill(const char *path, unsigned delay_us)
{
	int64_t seq, last = 0;
	int out[2], status;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(out[0]);
		commit_forever(path, out[1]);
	}
	close(out[1]);
	/* The first acknowledgement shows that it runs. */
	if (read(out[0], &seq, sizeof(seq)) == sizeof(seq))
		last = seq;
	usleep(delay_us);
	kill(pid, SIGKILL);
	while (read(out[0], &seq, sizeof(seq)) == sizeof(seq))
		last = seq;
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return last;
}

static int count_event(void *cookie, const struct store_event *ev)
{
	int64_t *count = cookie;

	assert_int_equal(ev->seq, ++*count); /* no gaps */
	return 0;
}

static int count_vm(void *cookie, const struct store_vm *vm)
{
	++*(int64_t *)cookie;
	return 0;
}

static void test_kill_loses_nothing_acknowledged(void **state)
{
	struct store_dir *d = *state;
	int64_t acknowledged, events, vms;

	srandom(1);
	for (int round = 0; round < 20; round++) {
		d->store = store_close(d->store);
		acknowledged = run_and_kill(d->path, (unsigned)random() % 4000);
		store_dir_open(d);
		events = vms = 0;
		assert_int_equal(store_event_each(d->store, 0, -1, count_event,
						  &events, NULL),
				 0);
		assert_int_equal(store_vm_each(d->store, STORE_VM_ALL, count_vm,
					       &vms, NULL),
				 0);
		assert_true(acknowledged > 0 && events >= acknowledged);
		/* The one in flight may have made it, whole; no more. */
		assert_true(events <= acknowledged + 1);
		assert_int_equal(events, vms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(test_vm_round_trip),
		store_test(test_vm_missing),
		store_test(test_vm_taken),
		store_test(test_ids_never_come_back),
		store_test(test_vm_each),
		store_test(test_run),
		store_test(test_events),
		store_test(test_one_transaction_around_several),
		store_test(test_injected_failures),
		store_test(test_second_daemon_is_refused),
		store_test(test_files_are_private),
		cmocka_unit_test(test_bad_directories),
		store_test(test_kill_loses_nothing_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
