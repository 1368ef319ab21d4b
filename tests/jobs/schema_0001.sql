-- A database of schema version 0001 with two finished jobs, one that ran, one that waited.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE events (
	job_id VARCHAR(36) NOT NULL, 
	seq INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	data JSON NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (job_id, seq), 
	FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "events" VALUES('00000000-0000-4000-8000-000000000001',1,'queued','{"attempt": 0}',1789000001.0);
INSERT INTO "events" VALUES('00000000-0000-4000-8000-000000000001',2,'image','{"id": "10000000-0000-4000-8000-000000000000", "attempt": 1}',1789000002.0);
INSERT INTO "events" VALUES('00000000-0000-4000-8000-000000000001',3,'image','{"id": "10000000-0000-4000-8000-000000000001", "attempt": 1}',1789000003.0);
INSERT INTO "events" VALUES('00000000-0000-4000-8000-000000000001',4,'succeeded','{"attempt": 1, "seconds": 1.5}',1789000004.0);
INSERT INTO "events" VALUES('00000000-0000-4000-8000-000000000002',1,'queued','{"attempt": 0}',1789000001.0);
INSERT INTO "events" VALUES('00000000-0000-4000-8000-000000000003',1,'queued','{"attempt": 0}',1789000001.0);
INSERT INTO "events" VALUES('00000000-0000-4000-8000-000000000004',1,'queued','{"attempt": 0}',1789000001.0);
INSERT INTO "events" VALUES('00000000-0000-4000-8000-000000000004',2,'failed','{"attempt": 3}',1789000002.0);
CREATE TABLE images (
	seq INTEGER NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	job_id VARCHAR(36) NOT NULL, 
	"index" INTEGER NOT NULL, 
	seed BIGINT NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	bytes INTEGER NOT NULL, 
	prompt TEXT NOT NULL, 
	negative_prompt TEXT NOT NULL, 
	model VARCHAR(200) NOT NULL, 
	origin VARCHAR(40) NOT NULL, 
	seconds FLOAT, 
	favourite BOOLEAN NOT NULL, 
	created_at FLOAT NOT NULL, 
	recipe JSON NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (job_id, "index"), 
	UNIQUE (id), 
	UNIQUE (path)
);
INSERT INTO "images" VALUES(1,'10000000-0000-4000-8000-000000000000','00000000-0000-4000-8000-000000000001',0,41,64,64,'2026-09-10/00000000-0000-4000-8000-000000000001-0.png','0000000000000000000000000000000000000000000000000000000000000000',1234,'a red apple','','pocket','ui',1.5,0,1789000003.0,'{"job_id": "00000000-0000-4000-8000-000000000001", "image_id": "10000000-0000-4000-8000-000000000000", "how": {}}');
INSERT INTO "images" VALUES(2,'10000000-0000-4000-8000-000000000001','00000000-0000-4000-8000-000000000001',1,42,64,64,'2026-09-10/00000000-0000-4000-8000-000000000001-1.png','1111111111111111111111111111111111111111111111111111111111111111',1234,'a red apple','','pocket','ui',1.5,1,1789000003.0,'{"job_id": "00000000-0000-4000-8000-000000000001", "image_id": "10000000-0000-4000-8000-000000000001", "how": {}}');
CREATE TABLE jobs (
	seq INTEGER NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	idempotency_key VARCHAR(200), 
	fingerprint VARCHAR(64) NOT NULL, 
	origin VARCHAR(40) NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	priority INTEGER NOT NULL, 
	model VARCHAR(200) NOT NULL, 
	batch_key VARCHAR(64) NOT NULL, 
	request JSON NOT NULL, 
	num_images INTEGER NOT NULL, 
	megapixel_steps FLOAT NOT NULL, 
	attempt INTEGER NOT NULL, 
	crashes INTEGER NOT NULL, 
	owner VARCHAR(64), 
	lease_until FLOAT, 
	cancel_requested BOOLEAN NOT NULL, 
	error JSON, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	finished_at FLOAT, 
	seconds FLOAT, 
	PRIMARY KEY (seq), 
	UNIQUE (id), 
	UNIQUE (idempotency_key)
);
INSERT INTO "jobs" VALUES(1,'00000000-0000-4000-8000-000000000001','key-1','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','ui','succeeded',0,'pocket','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','{"prompt": "a red apple", "negative_prompt": "", "model": "pocket", "num_inference_steps": 4, "guidance_scale": 0.0, "width": 64, "height": 64, "seed": 41, "num_images": 1, "scheduler": "default", "extra": {}}',2,0.016384,1,0,NULL,NULL,0,NULL,1789000001.0,1789000001.0,1789000003.0,1.5);
INSERT INTO "jobs" VALUES(2,'00000000-0000-4000-8000-000000000002','key-2','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','ui','running',0,'pocket','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','{"prompt": "\u82f9\u679c in Chinese", "negative_prompt": "", "model": "pocket", "num_inference_steps": 4, "guidance_scale": 0.0, "width": 64, "height": 64, "seed": 42, "num_images": 1, "scheduler": "default", "extra": {}}',1,0.016384,1,0,'an earlier start',1789000031.0,0,NULL,1789000002.0,1789000002.0,NULL,NULL);
INSERT INTO "jobs" VALUES(3,'00000000-0000-4000-8000-000000000003','key-3','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','ui','queued',0,'pocket','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','{"prompt": "a red apple", "negative_prompt": "", "model": "pocket", "num_inference_steps": 4, "guidance_scale": 0.0, "width": 64, "height": 64, "seed": 43, "num_images": 1, "scheduler": "default", "extra": {}}',1,0.016384,0,0,NULL,NULL,0,NULL,1789000003.0,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'00000000-0000-4000-8000-000000000004','key-4','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','ui','failed',0,'pocket','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','{"prompt": "a red apple", "negative_prompt": "", "model": "pocket", "num_inference_steps": 4, "guidance_scale": 0.0, "width": 64, "height": 64, "seed": 44, "num_images": 1, "scheduler": "default", "extra": {}}',1,0.016384,3,3,NULL,NULL,0,'{"code": "worker_crashed", "message": "It ended 3 times.", "hint": null}',1789000004.0,NULL,1789000009.0,NULL);
CREATE INDEX jobs_by_state ON jobs (state, priority, seq, model, megapixel_steps, created_at);
CREATE INDEX jobs_by_pace ON jobs (model, finished_at);
CREATE INDEX ix_images_job_id ON images (job_id);
CREATE INDEX ix_images_model ON images (model);
CREATE INDEX ix_images_created_at ON images (created_at);
COMMIT;
