/*
 * The daemon against a supervisor that was taken over: it says anything, sends
 * any descriptors, answers what nobody asked, dies and lives on, while the
 * daemon pauses, stops and asks of the VM. Every call is answered once, the
 * VM's state stays one of the table, its end is only believed of its process,
 * and nothing is left open.
 *
 * The daemon with its database stays for all runs, its VM is made anew.
 *
 * Input: byte 0 the state it was in; then steps of 1 byte and operands: 0-3 a
 * message (fuzz_peer.h), 4 a call begins, 5 the channel ends, 6 the process
 * does, else the loop turns.
 */
#include <ftw.h>
#include <sys/pidfd.h>
#include <stdio.h>

#include "daemon/job.h"
#include "daemon/link_internal.h"
#include "daemon/rpc.h"
#include "daemon/turn.h"
#include "lib/base/log.h"
#include "tests/fuzz/fuzz_loop.h"
#include "tests/fuzz/fuzz_peer.h"

#define CONFIG                                                          \
	"{\"name\":\"f\",\"hypervisor\":\"null\",\"memory\":134217728," \
	"\"console\":\"both\",\"uuid\":\"11111111-2222-4333-8444-"      \
	"555555555555\"}"

static const char *const ready[] = {
	"{\"type\":\"reply\",\"id\":$,\"ok\":true}",
	/* kind 0 */
	"{\"type\":\"reply\",\"id\":$,\"ok\":true,\"version\":1,"
	"\"configured\":true,\"state\":\"running\",\"reason\":\"\"}",
	"{\"type\":\"reply\",\"id\":1,\"ok\":true,\"version\":1,"
	"\"configured\":true,\"state\":\"running\"}",
	"{\"type\":\"reply\",\"id\":$,\"ok\":true,\"version\":2}",
	"{\"type\":\"reply\",\"id\":$,\"ok\":false,\"error\":{\"code\":"
	"\"busy\",\"message\":\"no\"}}",
	"{\"type\":\"reply\",\"id\":$,\"ok\":true,\"button\":true,\"agent\":7}",
	"{\"type\":\"reply\",\"id\":$,\"ok\":true,\"devices\":[{\"kind\":"
	"\"disk\",\"id\":\"d\",\"state\":\"active\",\"slot\":1,\"config\":"
	"{\"path\":\"/d\",\"id\":\"d\"}}]}",
	"{\"type\":\"reply\",\"id\":$,\"ok\":true,\"slot\":3}",
	"{\"type\":\"reply\",\"id\":$,\"ok\":true,\"filesystems\":2,"
	"\"hostname\":\"h\",\"interfaces\":[]}",
	"{\"type\":\"state\",\"state\":\"running\",\"reason\":\"\"}",
	"{\"type\":\"state\",\"state\":\"paused\",\"reason\":\"x\"}",
	"{\"type\":\"state\",\"state\":\"stopped\",\"reason\":\"off\"}",
	"{\"type\":\"state\",\"state\":\"crashed\",\"reason\":\"bad\"}",
	"{\"type\":\"state\",\"state\":\"stopping\"}",
	"{\"type\":\"event\",\"kind\":\"reset\",\"detail\":\"\"}",
	"{\"type\":\"event\",\"kind\":\"panic\",\"detail\":\"oops\"}",
	"{\"type\":\"event\",\"kind\":\"balloon\",\"detail\":\"1\"}",
	"{\"type\":\"nvram\",\"seq\":1,\"offset\":0,\"size\":4096}",
	"{\"type\":\"nvram\",\"seq\":2,\"offset\":786000,\"size\":4096}",
	"{\"type\":\"nvram\",\"seq\":-1,\"offset\":-4096,\"size\":8192}",
	"{\"type\":\"device\",\"kind\":\"disk\",\"id\":\"d\",\"state\":"
	"\"released\",\"slot\":1,\"address\":\"\",\"driver\":\"\"}",
	"{\"type\":\"device\",\"kind\":\"disk\",\"id\":\"d\",\"state\":"
	"\"failed\",\"slot\":1,\"detail\":\"no\"}",
	"{\"type\":\"device\",\"kind\":\"nic\",\"id\":\"n\",\"state\":"
	"\"active\",\"slot\":4294967295,\"address\":\"0000:01:00.0\"}",
};

static struct {
	char dir[64], run[72];
	struct manager *manager;
	uv_async_t alive; /* a daemon's loop always has something */
	struct api_handlers handlers, inner;
	struct fuzz_peer peer;
	struct vm *vm;
	int64_t id;
	int listener, process;
	bool killed;
	unsigned asked, answered;
} world;

/* In place of libc's: the process is an eventfd. */
int pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned flags)
{
	world.killed = true;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *ftw)
{
	return remove(path);
}

static void remove_dir(void)
{
	nftw(world.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void world_new(void)
{
	static const struct conf conf;
	struct manager_params params = {
		.state_dir = world.dir,
		.runtime_dir = world.run,
		.supervisor = "/nonexistent",
		.conf = &conf,
	};
	struct error e = ERROR_INIT;

	log_open("fuzz", LOG_LEVEL_ERROR - 1);
	snprintf(world.dir, sizeof(world.dir), "%s/armvm-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	fuzz_check(mkdtemp(world.dir));
	atexit(remove_dir);
	snprintf(world.run, sizeof(world.run), "%s/run", world.dir);
	fuzz_check(manager_new(fuzz_loop(), &params, &world.manager, &e) == 0);
	rpc_handlers(world.manager, &world.handlers, &world.inner);
	fuzz_check(jobs_new(world.manager, &world.inner, &world.manager->jobs,
			    &e) == 0);
	store_batch(world.manager->store);
	fuzz_check(uv_async_init(fuzz_loop(), &world.alive, NULL) == 0);
}

static void listen_as_supervisor(const char *uuid)
{
	_cleanup_free_ char *path = manager_socket_path(world.manager, uuid);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	fuzz_check(path && strlen(path) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, path);
	unlink(path);
	world.listener = fuzz_listen(&addr, sizeof(addr));
	fuzz_check(fd_set_nonblock(world.listener) == 0);
}

static void take_connection(void)
{
	if (world.peer.fd < 0 && world.listener >= 0)
		world.peer.fd = accept4(world.listener, NULL, NULL,
					SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void begin(uint8_t state)
{
	static const enum vm_state states[] = {VM_STARTING, VM_RUNNING,
					       VM_PAUSED, VM_STOPPING,
					       VM_SHUTTING_DOWN};
	_cleanup_vm_config_ struct vm_config config = {0};
	_cleanup_json_ json_object *json = NULL;
	struct error e = ERROR_INIT;

	fuzz_check(json_parse(CONFIG, strlen(CONFIG), &json, NULL) == 0 &&
		   vm_config_from_json(json, &config, NULL) == 0);
	fuzz_check(store_vm_add(world.manager->store, config.uuid, config.name,
				CONFIG, &world.id, &e) == 0);
	fuzz_check(vm_defined(world.manager, world.id, &config, &world.vm,
			      &e) == 0);
	listen_as_supervisor(world.vm->config.uuid);
	world.process = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world.vm->supervisor = link_new(
		world.vm, getpid(), fcntl(world.process, F_DUPFD_CLOEXEC, 0),
		false, &e);
	fuzz_check(world.vm->supervisor);
	vm_set_state(world.vm, states[state % ARRAY_SIZE(states)], "");
	fuzz_check(link_connect(world.vm->supervisor, &e) == 0);
	vm_supervisor_connected(world.vm);
}

static void on_answer(void *cookie, json_object *result, const struct error *e)
{
	fuzz_check(!e || (e->err && e->message[0]));
	fuzz_check(++world.answered <= world.asked);
	json_object_put(result);
}

static void call(struct fuzz_input *in)
{
	static const struct {
		enum api_method_id method;
		const char *params;
	} calls[] = {
		{API_VM_PAUSE, ""},
		{API_VM_RESUME, ""},
		{API_VM_RESET, ""},
		{API_VM_STOP, ""},
		{API_VM_SHUTDOWN, ",\"timeout_ms\":5"},
		{API_VM_BALLOON, ",\"target\":134217728"},
		{API_VM_GUEST, ""},
		{API_VM_FREEZE, ""},
		{API_VM_THAW, ""},
		{API_DISK_LIST, ""},
		{API_DISK_GET, ",\"id\":\"d\""},
		{API_DISK_REMOVE, ",\"id\":\"d\",\"live\":true"},
		{API_NIC_REMOVE, ",\"id\":\"n\",\"force\":true"},
		{API_VM_GET, ""},
		{API_VAR_LIST, ""},
		{API_VM_DELETE, ""},
		{API_VM_RENAME, ",\"new_name\":\"g\""},
	};
	unsigned which = fuzz_u8(in) % ARRAY_SIZE(calls);
	json_object *params = NULL;
	char text[128];

	snprintf(text, sizeof(text), "{\"name\":\"f\"%s}", calls[which].params);
	fuzz_check(json_parse(text, strlen(text), &params, NULL) == 0);
	world.asked++;
	api_call_inner(&world.inner, calls[which].method, params, on_answer,
		       NULL, NULL);
}

/* The kernel closes what the process had. */
static void die(void)
{
	eventfd_write(world.process, 1);
	world.peer.fd = fd_close(world.peer.fd);
	world.listener = fd_close(world.listener);
}

static void turns(int n)
{
	for (int i = 0; i < n; i++)
		fuzz_turn();
	take_connection();
	fuzz_peer_read(&world.peer);
}

static void step(struct fuzz_input *in)
{
	struct vm *vm = vm_in_memory(world.manager, world.id);
	uint8_t what = fuzz_u8(in);

	switch (what & 7) {
	case 0:
	case 1:
	case 2:
	case 3:
		fuzz_peer_say(&world.peer, in);
		break;
	case 4:
		call(in);
		break;
	case 5:
		world.peer.fd = fd_close(world.peer.fd);
		break;
	case 6:
		if (what & 128)
			die();
		break;
	default:
		break;
	}
	if (world.killed)
		die();
	turns(3);
	vm = vm_in_memory(world.manager, world.id);
	if (vm)
		fuzz_check(vm_state_active(vm->state) == !!vm->supervisor);
}

/* The process ends, and with it all that waited for it. */
static void end(void)
{
	struct error e = ERROR_INIT;
	int n = 0;

	die();
	while (vm_in_memory(world.manager, world.id) ||
	       world.answered < world.asked) {
		fuzz_check(++n < 2000);
		fuzz_turn();
		if (n > 50)
			usleep(1000);
	}
	world.process = fd_close(world.process);
	if (store_vm_delete(world.manager->store, world.id, &e) < 0)
		fuzz_check(e.err == ENOENT);
	turns(3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	int before, after;

	if (!world.manager)
		world_new();
	world.peer = (struct fuzz_peer){
		.ready = ready, .n_ready = ARRAY_SIZE(ready), .direction = 'D'};
	world.killed = false;
	world.asked = world.answered = 0;
	before = fcntl(0, F_DUPFD_CLOEXEC, 3);
	fd_close(before);
	fuzz_peer_init(&world.peer);
	begin(fuzz_u8(&in));
	turns(3);
	while (fuzz_more(&in))
		step(&in);
	end();
	fuzz_peer_done(&world.peer);
	after = fcntl(0, F_DUPFD_CLOEXEC, 3);
	fd_close(after);
	fuzz_check(before == after);
	return 0;
}
