BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE artifacts (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE, 
	UNIQUE (run_id, kind, name)
);
CREATE TABLE attempts (
	run_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	token TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER, 
	pid_started_at FLOAT, 
	boot_id TEXT, 
	from_step BIGINT, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	outcome TEXT, 
	reason TEXT, 
	exit_code INTEGER, 
	PRIMARY KEY (run_id, number), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE checkpoints (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	step BIGINT NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	value FLOAT, 
	worked_s FLOAT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE episodes (
	run_id INTEGER NOT NULL, 
	policy TEXT NOT NULL, 
	robot_digest VARCHAR(64) NOT NULL, 
	task TEXT NOT NULL, 
	seed BIGINT NOT NULL, 
	episode INTEGER NOT NULL, 
	episode_return FLOAT NOT NULL, 
	length INTEGER NOT NULL, 
	terminated BOOLEAN NOT NULL, 
	distance_m FLOAT NOT NULL, 
	mean_speed_m_s FLOAT NOT NULL, 
	energy_j FLOAT NOT NULL, 
	PRIMARY KEY (run_id, policy, robot_digest, task, seed, episode), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE evaluated_policies (
	run_id INTEGER NOT NULL, 
	policy TEXT NOT NULL, 
	policy_run_id INTEGER, 
	PRIMARY KEY (run_id, policy), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	run_id INTEGER, 
	at DATETIME NOT NULL, 
	level TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE extreme_points (
	series_id INTEGER NOT NULL, 
	step BIGINT NOT NULL, 
	iteration INTEGER NOT NULL, 
	wall_s FLOAT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (series_id, step), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE pipelines (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	preset TEXT NOT NULL, 
	robot_set TEXT NOT NULL, 
	seed BIGINT NOT NULL, 
	created_at DATETIME NOT NULL
);
CREATE TABLE points (
	series_id INTEGER NOT NULL, 
	step BIGINT NOT NULL, 
	iteration INTEGER NOT NULL, 
	wall_s FLOAT NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (series_id, step), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE robot_set_members (
	set_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	robot_id INTEGER NOT NULL, 
	role TEXT, 
	PRIMARY KEY (set_id, position), 
	FOREIGN KEY(robot_id) REFERENCES robots (id), 
	FOREIGN KEY(set_id) REFERENCES robot_sets (id) ON DELETE CASCADE
);
INSERT INTO "robot_set_members" VALUES(1,0,1,'training');
INSERT INTO "robot_set_members" VALUES(1,1,2,'training');
CREATE TABLE robot_sets (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	run_id INTEGER, 
	created_at DATETIME NOT NULL, removed_at DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "robot_sets" VALUES(1,'robots','ee619f2216dac88956f431099c4f5ffd83db044fdc05458b011d88d809cf4bab',NULL,'2026-11-22 16:19:28.742267',NULL);
CREATE TABLE robots (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	family TEXT NOT NULL, 
	num_limbs INTEGER NOT NULL, 
	num_joints INTEGER NOT NULL, 
	mass_kg FLOAT NOT NULL, 
	head_height_m FLOAT NOT NULL, 
	parent_digest TEXT, 
	operations JSON NOT NULL, 
	seed BIGINT, 
	path TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (digest, name)
);
INSERT INTO "robots" VALUES(1,'2b545d20c57f9eb15ae5fb62027f29d8ee83b79c597fb29e74eca4f65f415a13','g3-0-2b545d','unimal',9,12,3.08545651536064866613e+01,0.67,NULL,'["grow_limb", "grow_limb", "grow_limb", "grow_limb", "grow_limb", "limb_params"]',3,'robots/2b545d20c57f9eb15ae5fb62027f29d8ee83b79c597fb29e74eca4f65f415a13/g3-0-2b545d.xml','2026-11-22 16:19:28.731392');
INSERT INTO "robots" VALUES(2,'6fc1c6c716645b3181c0b1724b1d30521e168aa621de9606d5a4fe5f0cc07043','g3-1-6fc1c6','unimal',8,7,1.2922871106522656248e+01,0.59,NULL,'["grow_limb", "grow_limb", "grow_limb", "grow_limb"]',3,'robots/6fc1c6c716645b3181c0b1724b1d30521e168aa621de9606d5a4fe5f0cc07043/g3-1-6fc1c6.xml','2026-11-22 16:19:28.731622');
CREATE TABLE rollups (
	series_id INTEGER NOT NULL, 
	block INTEGER NOT NULL, 
	num_points INTEGER NOT NULL, 
	last_step BIGINT NOT NULL, 
	last_iteration INTEGER NOT NULL, 
	last_wall_s FLOAT NOT NULL, 
	value_sum FLOAT NOT NULL, 
	low FLOAT NOT NULL, 
	high FLOAT NOT NULL, 
	PRIMARY KEY (series_id, block), 
	FOREIGN KEY(series_id) REFERENCES series (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE run_inputs (
	run_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	input_id INTEGER NOT NULL, 
	input_attempt INTEGER, 
	PRIMARY KEY (run_id, position), 
	FOREIGN KEY(input_id) REFERENCES runs (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "run_inputs" VALUES(2,0,1,NULL);
CREATE TABLE run_robot_sets (
	run_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (run_id, position), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "run_robot_sets" VALUES(2,0,'robots');
CREATE TABLE runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	state TEXT NOT NULL, 
	pipeline_id INTEGER, 
	group_name TEXT, 
	host TEXT NOT NULL, 
	device TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	token TEXT, 
	pid INTEGER, 
	pid_started_at FLOAT, 
	boot_id TEXT, 
	queued_boot_id TEXT, 
	seed BIGINT NOT NULL, 
	config JSON NOT NULL, 
	extra JSON NOT NULL, 
	folder TEXT NOT NULL, 
	versions JSON NOT NULL, 
	reason TEXT, 
	blocked_by INTEGER, 
	exit_code INTEGER, 
	done FLOAT, 
	total FLOAT, 
	unit TEXT, 
	rate FLOAT, 
	result FLOAT, 
	result_text TEXT, 
	report_gap_s FLOAT, 
	worked_s FLOAT NOT NULL, 
	checkpoint_step BIGINT, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	reported_at DATETIME, 
	stop_requested_at DATETIME, 
	kill_requested_at DATETIME, 
	archived BOOLEAN NOT NULL, 
	note TEXT, pid_ticks BIGINT, started_uptime_s FLOAT, reported_uptime_s FLOAT, stop_requested_uptime_s FLOAT, result_kind TEXT, 
	FOREIGN KEY(pipeline_id) REFERENCES pipelines (id)
);
INSERT INTO "runs" VALUES(1,'generation','robots','queued',NULL,NULL,'vm','auto',0,NULL,NULL,NULL,NULL,NULL,1,'{"train_count": 2}','{"training_set": "robots"}','runs/1','{}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0.0,NULL,'2026-11-22 16:19:28.541280',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES(2,'mutation','mutants','queued',NULL,NULL,'vm','auto',0,NULL,NULL,NULL,NULL,NULL,1,'{}','{}','runs/2','{}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0.0,NULL,'2026-11-22 16:19:28.558054',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE series (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	robot_digest TEXT NOT NULL, 
	num_points INTEGER NOT NULL, 
	last_step BIGINT, 
	last_value FLOAT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE, 
	UNIQUE (run_id, name, robot_digest)
);
CREATE TABLE settings (
	"key" TEXT NOT NULL, 
	value JSON NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE "supervisors" (
	boot_id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	installation TEXT, 
	pid INTEGER NOT NULL, 
	pid_started_at FLOAT NOT NULL, 
	slots INTEGER NOT NULL, 
	started_at DATETIME NOT NULL, 
	heartbeat_at DATETIME NOT NULL, 
	beats BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (boot_id)
);
CREATE TABLE tags (
	run_id INTEGER NOT NULL, 
	tag TEXT NOT NULL, 
	PRIMARY KEY (run_id, tag), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "tags" VALUES(2,'kept');
CREATE INDEX ix_events_run_id ON events (run_id);
CREATE INDEX ix_robots_name ON robots (name);
CREATE INDEX ix_robot_set_members_robot_id ON robot_set_members (robot_id);
CREATE INDEX ix_runs_pipeline_id ON runs (pipeline_id);
CREATE INDEX ix_runs_state_host ON runs (state, host);
CREATE INDEX ix_checkpoints_run_step ON checkpoints (run_id, step);
CREATE INDEX ix_episodes_robot_digest ON episodes (robot_digest);
CREATE INDEX ix_run_inputs_input_id ON run_inputs (input_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',2);
COMMIT;
