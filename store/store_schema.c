/*
 * The schema, as the steps that lead to it. Rows are only ever added: a step
 * that has been released is never edited.
 */
#include "store/store_internal.h"

const char *const store_migrations[] = {
	/* 1: AUTOINCREMENT because uid ranges derive from a VM's id, so an id
	 * must never come back with another VM's files around. */
	"CREATE TABLE vm ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  uuid TEXT NOT NULL UNIQUE,"
	"  name TEXT NOT NULL UNIQUE,"
	"  config TEXT NOT NULL,"
	"  revision INTEGER NOT NULL DEFAULT 1,"
	"  created_ms INTEGER NOT NULL,"
	"  var_generation INTEGER NOT NULL DEFAULT 0"
	") STRICT;"
	"CREATE TABLE nvram_block ("
	"  vm_id INTEGER NOT NULL REFERENCES vm (id) ON DELETE CASCADE,"
	"  block INTEGER NOT NULL,"
	"  data BLOB NOT NULL,"
	"  PRIMARY KEY (vm_id, block)"
	") STRICT;"
	"CREATE TABLE variable ("
	"  vm_id INTEGER NOT NULL REFERENCES vm (id) ON DELETE CASCADE,"
	"  guid TEXT NOT NULL,"
	"  name TEXT NOT NULL,"
	"  attributes INTEGER NOT NULL,"
	"  timestamp BLOB NOT NULL,"
	"  monotonic_count INTEGER NOT NULL,"
	"  pubkey_index INTEGER NOT NULL,"
	"  data BLOB NOT NULL,"
	"  generation INTEGER NOT NULL,"
	"  PRIMARY KEY (vm_id, guid, name)"
	") STRICT;"
	"CREATE TABLE var_log ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  vm_id INTEGER NOT NULL REFERENCES vm (id) ON DELETE CASCADE,"
	"  generation INTEGER NOT NULL,"
	"  time_ms INTEGER NOT NULL,"
	"  actor TEXT NOT NULL,"
	"  guid TEXT NOT NULL,"
	"  change TEXT NOT NULL"
	") STRICT;"
	"CREATE INDEX var_log_vm ON var_log (vm_id, id);"
	"CREATE TABLE run ("
	"  vm_id INTEGER PRIMARY KEY REFERENCES vm (id) ON DELETE CASCADE,"
	"  pid INTEGER NOT NULL,"
	"  start_time INTEGER NOT NULL,"
	"  boot_id TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE event ("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  time_ms INTEGER NOT NULL,"
	"  vm_uuid TEXT,"
	"  kind TEXT NOT NULL,"
	"  text TEXT NOT NULL"
	") STRICT;",

	/* 2: what a list shows stands in columns, so that a page costs no JSON;
	 * the state a VM was left in; labels by which lists filter; variable
	 * stores kept after their VM (kept_ms != 0: the row is no VM, and its
	 * name is its uuid behind a tilde); jobs. */
	"ALTER TABLE vm ADD COLUMN state TEXT NOT NULL DEFAULT 'stopped';"
	"ALTER TABLE vm ADD COLUMN reason TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE vm ADD COLUMN started_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE vm ADD COLUMN hypervisor TEXT NOT NULL DEFAULT 'auto';"
	"ALTER TABLE vm ADD COLUMN vcpus INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE vm ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE vm ADD COLUMN disks INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE vm ADD COLUMN nics INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE vm ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';"
	"ALTER TABLE vm ADD COLUMN autostart INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE vm ADD COLUMN kept_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE vm ADD COLUMN kept_name TEXT NOT NULL DEFAULT '';"
	"UPDATE vm SET"
	"  hypervisor = coalesce(json_extract(config, '$.hypervisor'), 'auto'),"
	"  vcpus = coalesce(json_extract(config, '$.vcpus'), 1),"
	"  memory = coalesce(json_extract(config, '$.memory'), 0),"
	"  disks = coalesce(json_array_length(config, '$.disks'), 0),"
	"  nics = coalesce(json_array_length(config, '$.nics'), 0);"
	"UPDATE vm SET state = 'starting' WHERE id IN (SELECT vm_id FROM run);"
	"CREATE INDEX vm_state ON vm (state, name);"
	"CREATE INDEX vm_autostart ON vm (autostart) WHERE autostart > 0;"
	"CREATE INDEX vm_kept ON vm (kept_ms) WHERE kept_ms != 0;"
	"CREATE TABLE vm_label ("
	"  vm_id INTEGER NOT NULL REFERENCES vm (id) ON DELETE CASCADE,"
	"  key TEXT NOT NULL,"
	"  value TEXT NOT NULL,"
	"  PRIMARY KEY (vm_id, key)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX vm_label_value ON vm_label (key, value, vm_id);"
	"CREATE TABLE job ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  method TEXT NOT NULL,"
	"  vm TEXT NOT NULL,"
	"  params TEXT NOT NULL,"
	"  state TEXT NOT NULL,"
	"  step TEXT NOT NULL DEFAULT '',"
	"  progress INTEGER NOT NULL DEFAULT 0,"
	"  created_ms INTEGER NOT NULL,"
	"  deadline_ms INTEGER NOT NULL DEFAULT 0,"
	"  finished_ms INTEGER NOT NULL DEFAULT 0,"
	"  result TEXT NOT NULL DEFAULT '',"
	"  error TEXT NOT NULL DEFAULT '',"
	"  message TEXT NOT NULL DEFAULT '',"
	"  key TEXT UNIQUE"
	") STRICT;"
	"CREATE INDEX job_running ON job (state) WHERE state = 'running';"
	"CREATE INDEX job_finished ON job (finished_ms) WHERE finished_ms > 0;",

	/* 3: context ids of vsock are unique; definitions had none before. */
	"ALTER TABLE vm ADD COLUMN vsock_cid INTEGER;"
	"CREATE UNIQUE INDEX vm_vsock ON vm (vsock_cid) "
	"WHERE vsock_cid IS NOT NULL;",

	/* 4: what a running VM has besides its definition. */
	"ALTER TABLE run ADD COLUMN live TEXT NOT NULL DEFAULT '[]';",
};

const int store_migrations_count = ARRAY_SIZE(store_migrations);
