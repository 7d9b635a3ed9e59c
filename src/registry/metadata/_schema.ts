/**
 * The schema, one step a version; a step is never changed once it was released.
 *
 * Times are milliseconds since the epoch. Digests are text. Names compare by bytes, which is the ASCII order that
 * listings promise.
 */
export const MIGRATIONS: readonly string[] = [
  `
CREATE TABLE repository (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
);
-- Bytes that must not be swept: committed, or about to be. Collected when no link is left and renewed_at is old.
CREATE TABLE blob (
  digest TEXT PRIMARY KEY,
  renewed_at INTEGER NOT NULL
) WITHOUT ROWID;
-- Digests whose bytes are to be removed; sweeping_at is set while a collector removes them.
CREATE TABLE condemned (
  digest TEXT PRIMARY KEY,
  since INTEGER NOT NULL,
  sweeping_at INTEGER
) WITHOUT ROWID;
CREATE TABLE blob_link (
  repository_id INTEGER NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  renewed_at INTEGER NOT NULL,
  PRIMARY KEY (repository_id, digest)
) WITHOUT ROWID;
CREATE INDEX blob_link_digest ON blob_link (digest, repository_id);
CREATE TABLE manifest (
  repository_id INTEGER NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  subject TEXT,
  artifact_type TEXT,
  annotations TEXT NOT NULL,
  pushed_at INTEGER NOT NULL,
  pushed_by TEXT NOT NULL,
  renewed_at INTEGER NOT NULL,
  PRIMARY KEY (repository_id, digest)
) WITHOUT ROWID;
CREATE INDEX manifest_digest ON manifest (digest);
CREATE INDEX manifest_subject ON manifest (repository_id, subject, digest) WHERE subject IS NOT NULL;
-- What a manifest needs: blobs ('b') and child manifests ('m').
CREATE TABLE manifest_reference (
  repository_id INTEGER NOT NULL,
  manifest TEXT NOT NULL,
  target TEXT NOT NULL,
  kind TEXT NOT NULL,
  PRIMARY KEY (repository_id, manifest, target),
  FOREIGN KEY (repository_id, manifest) REFERENCES manifest (repository_id, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX manifest_reference_target ON manifest_reference (repository_id, target);
CREATE TABLE tag (
  repository_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (repository_id, name),
  FOREIGN KEY (repository_id, digest) REFERENCES manifest (repository_id, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX tag_digest ON tag (repository_id, digest);
CREATE TABLE upload (
  id TEXT PRIMARY KEY,
  repository TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  account TEXT NOT NULL,
  started_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX upload_started ON upload (started_at);

CREATE TABLE user (
  name TEXT PRIMARY KEY,
  password TEXT NOT NULL,
  admin INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE project (
  name TEXT PRIMARY KEY,
  public INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE project_role (
  project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
  account TEXT NOT NULL,
  role TEXT NOT NULL,
  PRIMARY KEY (account, project)
) WITHOUT ROWID;
CREATE TABLE signing_key (
  id TEXT PRIMARY KEY,
  private_jwk TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE refresh_token (
  hash TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX refresh_token_account ON refresh_token (account);
CREATE TABLE login_failure (
  key TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) WITHOUT ROWID;
`,
  `
CREATE TABLE robot (
  name TEXT PRIMARY KEY,
  project TEXT NOT NULL REFERENCES project(name) ON DELETE CASCADE,
  role TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  previous_hash TEXT,
  previous_until INTEGER,
  expires_at INTEGER,
  created_at INTEGER NOT NULL,
  rotated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX robot_project ON robot (project);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  account TEXT NOT NULL,
  address TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  outcome TEXT NOT NULL,
  detail TEXT NOT NULL,
  request TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);
ALTER TABLE project ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
-- Tags that were deleted and may not come back with other content.
CREATE TABLE tag_past (
  repository_id INTEGER NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (repository_id, name)
) WITHOUT ROWID;
-- What each project uses: a blob counts once however many of its repositories have it. The sums are spread over 16
-- rows, so that pushes to one project need not wait for one row.
ALTER TABLE repository ADD COLUMN project TEXT;
CREATE INDEX repository_project ON repository (project);
CREATE TABLE project_blob (
  project TEXT NOT NULL,
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  links INTEGER NOT NULL,
  PRIMARY KEY (project, digest)
) WITHOUT ROWID;
CREATE TABLE project_usage (
  project TEXT NOT NULL,
  shard TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (project, shard)
) WITHOUT ROWID;
CREATE TRIGGER blob_link_added AFTER INSERT ON blob_link BEGIN
  INSERT INTO project_blob (project, digest, size, links)
    SELECT project, NEW.digest, NEW.size, 1 FROM repository WHERE id = NEW.repository_id AND project IS NOT NULL
    ON CONFLICT (project, digest) DO UPDATE SET links = links + 1;
END;
CREATE TRIGGER blob_link_removed AFTER DELETE ON blob_link BEGIN
  UPDATE project_blob SET links = links - 1 WHERE digest = OLD.digest
    AND project = (SELECT project FROM repository WHERE id = OLD.repository_id);
  DELETE FROM project_blob WHERE digest = OLD.digest AND links <= 0;
END;
CREATE TRIGGER project_blob_added AFTER INSERT ON project_blob BEGIN
  INSERT INTO project_usage (project, shard, bytes)
    VALUES (NEW.project, substr(NEW.digest, instr(NEW.digest, ':') + 1, 1), NEW.size)
    ON CONFLICT (project, shard) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER project_blob_removed AFTER DELETE ON project_blob BEGIN
  UPDATE project_usage SET bytes = bytes - OLD.size
    WHERE project = OLD.project AND shard = substr(OLD.digest, instr(OLD.digest, ':') + 1, 1);
END;
-- Bytes promised to an upload beyond what is stored.
ALTER TABLE upload ADD COLUMN project TEXT;
ALTER TABLE upload ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;
CREATE INDEX upload_project ON upload (project) WHERE reserved > 0;
-- Who collects or retains just now, so that of several processes one does.
CREATE TABLE lease (
  name TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  until INTEGER NOT NULL
) WITHOUT ROWID;
`,
  `
-- When an upstream was last asked what a tag points at.
CREATE TABLE upstream_tag (
  repository TEXT NOT NULL,
  name TEXT NOT NULL,
  digest TEXT,
  checked_at INTEGER NOT NULL,
  PRIMARY KEY (repository, name)
) WITHOUT ROWID;
`,
  `
CREATE TABLE webhook_delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  hook TEXT NOT NULL,
  body TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (due_at);
CREATE INDEX webhook_delivery_hook ON webhook_delivery (hook, id);
`,
  `
-- When an upload was last written to, to the hour: one that goes on is not thrown away however long ago it began.
ALTER TABLE upload ADD COLUMN touched_at INTEGER NOT NULL DEFAULT 0;
UPDATE upload SET touched_at = started_at;
DROP INDEX upload_started;
CREATE INDEX upload_touched ON upload (touched_at);
`,
  `
-- Secrets that robots had before and that are still good: each exchange leaves one, and one may follow soon after another.
CREATE TABLE robot_past_secret (
  robot TEXT NOT NULL REFERENCES robot(name) ON DELETE CASCADE,
  hash TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (robot, hash)
) WITHOUT ROWID;
INSERT INTO robot_past_secret (robot, hash, until)
  SELECT name, previous_hash, previous_until FROM robot WHERE previous_hash IS NOT NULL;
ALTER TABLE robot DROP COLUMN previous_hash;
ALTER TABLE robot DROP COLUMN previous_until;
`,
];
