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
};

const int store_migrations_count = ARRAY_SIZE(store_migrations);
