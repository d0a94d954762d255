-- name: head
SELECT size, frontier, published FROM head WHERE id = 1;
-- name: set_head
UPDATE head SET size = ?, frontier = ? WHERE id = 1;
-- name: set_published
UPDATE head SET published = max(published, ?) WHERE id = 1 AND size >= ?;
-- name: reset_head
UPDATE head SET size = 0, frontier = ?, published = 0 WHERE id = 1;
-- name: entries
SELECT data FROM entries WHERE id >= ? AND id < ? ORDER BY id;
-- name: entries_for
SELECT id, data FROM entries WHERE request = ? AND request <> '' ORDER BY id;
-- name: add_entry
INSERT INTO entries (id, request, data) VALUES (?, ?, ?);
-- name: entries_from
SELECT data, request FROM entries WHERE id >= ? ORDER BY id;
-- name: delete_entries
DELETE FROM entries WHERE id >= ?;
-- name: tenant
SELECT tenant, origin, zone, created, mode, policy, packs, plugins, synthetic FROM tenant WHERE id = 1;
-- name: put_tenant
INSERT OR REPLACE INTO tenant (id, tenant, origin, zone, created, mode, policy, packs, plugins, synthetic)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: make_gates
INSERT OR IGNORE INTO gates (kind, key, last) VALUES (?, ?, 0);
-- name: gates
SELECT g.kind, g.key, g.last FROM json_each(?) AS k CROSS JOIN gates AS g
ON g.kind = json_extract(k.value, '$[0]') AND g.key = json_extract(k.value, '$[1]');
-- name: advance
UPDATE gates SET last = ? WHERE kind = ? AND key = ? AND last < ?;
-- name: patients
SELECT p.id, person, standing, age, zone, language, created, merged_into, stage
FROM json_each(?) AS k CROSS JOIN patients AS p ON p.id = k.value;
-- name: patients_by_person
SELECT p.id, person, standing, age, zone, language, created, merged_into, stage
FROM json_each(?) AS k CROSS JOIN patients AS p ON p.person = k.value;
-- name: aliases
WITH RECURSIVE chain (root, id) AS (
  SELECT k.value, p.id FROM json_each(?) AS k CROSS JOIN patients AS p ON p.merged_into = k.value
  UNION
  SELECT chain.root, p.id FROM chain CROSS JOIN patients AS p ON p.merged_into = chain.id
)
SELECT chain.root, p.person FROM chain JOIN patients AS p ON p.id = chain.id ORDER BY p.person;
-- name: page_patients
SELECT id, person, standing, age, zone, language, created, merged_into, stage FROM patients WHERE id > ? ORDER BY id LIMIT ?;
-- name: add_patient
INSERT INTO patients (id, person, standing, age, zone, language, created, merged_into, stage)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: put_patient
UPDATE patients SET person = ?, standing = ?, age = ?, zone = ?, language = ?, created = ?, merged_into = ?,
  stage = ? WHERE id = ?;
-- name: related
SELECT r.id, patient, person, relation, standing, verified, acts, scopes, since, until
FROM json_each(?) AS k CROSS JOIN related AS r ON r.patient = k.value ORDER BY since, r.id;
-- name: add_related
INSERT INTO related (id, patient, person, relation, standing, verified, acts, scopes, since, until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: put_related
UPDATE related SET patient = ?, person = ?, relation = ?, standing = ?, verified = ?, acts = ?, scopes = ?, since = ?,
  until = ? WHERE id = ?;
-- name: contacts
SELECT c.id, owner, person, kind, token, address, status, verified_at, rank, zones
FROM json_each(?) AS k CROSS JOIN contacts AS c ON c.owner = k.value ORDER BY rank, c.id;
-- name: contacts_on
SELECT c.id, owner, person, kind, token, address, status, verified_at, rank, zones
FROM json_each(?) AS k CROSS JOIN contacts AS c ON c.token = k.value ORDER BY c.id;
-- name: add_contact
INSERT INTO contacts (id, owner, person, kind, token, address, status, verified_at, rank, zones)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: put_contact
UPDATE contacts SET owner = ?, person = ?, kind = ?, token = ?, address = ?, status = ?, verified_at = ?, rank = ?,
  zones = ? WHERE id = ?;
-- name: contact_address
SELECT token, address FROM contacts WHERE id = ?;
-- name: delete_contact
DELETE FROM contacts WHERE id = ?;
-- name: address_refs
SELECT a.token, a.address FROM json_each(?) AS k CROSS JOIN addresses AS a ON a.token = k.value;
-- name: address_tokens
SELECT a.token, a.address FROM json_each(?) AS k CROSS JOIN addresses AS a ON a.address = k.value;
-- name: name_address
INSERT OR IGNORE INTO addresses (token, address) VALUES (?, ?);
-- name: grants
SELECT g.id, patient, purposes, channels, by, since, until, separate, notice, state, ended_at, plans, method, g.age
FROM json_each(?) AS k CROSS JOIN grants AS g ON g.patient = k.value ORDER BY since, g.id;
-- name: add_grant
INSERT INTO grants (id, patient, purposes, channels, by, since, until, separate, notice, state, ended_at, plans, method, age)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: put_grant
UPDATE grants SET patient = ?, purposes = ?, channels = ?, by = ?, since = ?, until = ?, separate = ?, notice = ?,
  state = ?, ended_at = ?, plans = ?, method = ?, age = ? WHERE id = ?;
-- name: end_grant
UPDATE grants SET state = ?, ended_at = ? WHERE id = ? AND state = 'given';
-- name: stops
SELECT s.id, person, token, purposes, channels, source, since, until, lifted_at, plans
FROM json_each(?) AS k CROSS JOIN stops AS s ON s.person = k.value WHERE lifted_at IS NULL
UNION
SELECT s.id, person, token, purposes, channels, source, since, until, lifted_at, plans
FROM json_each(?) AS k CROSS JOIN stops AS s ON s.token = k.value WHERE lifted_at IS NULL
ORDER BY since, 1;
-- name: replies_waiting
SELECT id, person, token, purposes, channels, source, since, until, lifted_at, plans
FROM stops WHERE source = 'reply' AND until > ? AND token IS NOT NULL AND lifted_at IS NULL ORDER BY since, id;
-- name: add_stop
INSERT INTO stops (id, person, token, purposes, channels, source, since, until, lifted_at, plans)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: lift_stop
UPDATE stops SET lifted_at = ? WHERE id = ? AND lifted_at IS NULL;
-- name: touches
SELECT r.id, subject, recipient, token, purpose, channel_kind, reply, at, plan, topic
FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.subject = k.value AND at >= ? WHERE state <> 'released'
UNION
SELECT r.id, subject, recipient, token, purpose, channel_kind, reply, at, plan, topic
FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.recipient = k.value AND at >= ? WHERE state <> 'released'
UNION
SELECT r.id, subject, recipient, token, purpose, channel_kind, reply, at, plan, topic
FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.token = k.value AND at >= ? WHERE state <> 'released'
ORDER BY at, 1;
-- name: recall
SELECT r.* FROM json_each(?) AS k CROSS JOIN reservations AS r
ON r.request = k.value AND r.state <> 'released' ORDER BY at, r.id;
-- name: reservations
SELECT r.* FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.id = k.value;
-- name: open_reservations
SELECT * FROM reservations WHERE state = ? AND state IN ('held', 'claimed') ORDER BY at, id LIMIT ?;
-- name: due_reservations
SELECT * FROM reservations WHERE state = ? AND state IN ('held', 'claimed')
AND CASE state WHEN 'claimed' THEN lease ELSE expires END <= ? ORDER BY at, id LIMIT ?;
-- name: open_for
SELECT r.* FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.subject = k.value WHERE state IN ('held', 'claimed')
UNION
SELECT r.* FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.recipient = k.value WHERE state IN ('held', 'claimed')
UNION
SELECT r.* FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.token = k.value WHERE state IN ('held', 'claimed')
ORDER BY at, 1;
-- name: last_spent_on
SELECT * FROM reservations WHERE token = ? AND channel_kind = ? AND state = 'spent' ORDER BY at DESC, id DESC LIMIT 1;
-- name: add_reservation
INSERT INTO reservations (id, request, mac, decision, patient, contact, subject, recipient, role, token, address,
  purpose, channel, channel_kind, template, template_version, reply, at, state, expires, lease, outcome, delivery, provider,
  plan, topic)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: settle_reservation
UPDATE reservations SET contact = ?, recipient = ?, role = ?, token = ?, address = ?, at = ?, state = ?, lease = ?,
  outcome = ?, delivery = ?, provider = ? WHERE id = ?;
-- name: states
SELECT r.id, r.state FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.id = k.value;
-- name: sealed
SELECT s.row, s.col, s.envelope FROM json_each(?) AS k CROSS JOIN sealed AS s
ON s.tbl = ? AND s.row = k.value WHERE s.col IN (SELECT value FROM json_each(?));
-- name: page_sealed
SELECT tbl, "row", col, envelope FROM sealed WHERE (tbl, "row", col) > (?, ?, ?) ORDER BY tbl, "row", col LIMIT ?;
-- name: sealed_headers
SELECT coalesce(substr(envelope, 1, 18), x''), count(*) FROM sealed GROUP BY 1;
-- name: replace_sealed
UPDATE sealed SET envelope = ? WHERE tbl = ? AND "row" = ? AND col = ? AND envelope = ?;
-- name: delete_sealed
DELETE FROM sealed WHERE tbl = ? AND "row" IN (SELECT value FROM json_each(?));
-- name: index_counts
SELECT version, count(*) FROM blind GROUP BY version;
-- name: index_spread
SELECT col, version, rows, count(*) FROM (SELECT col, version, value, count(*) AS rows FROM blind GROUP BY 1, 2, 3)
GROUP BY 1, 2, 3;
-- name: address_spread
SELECT persons, count(*) FROM (SELECT a.token, count(DISTINCT c.person) AS persons FROM addresses AS a
  LEFT JOIN contacts AS c ON c.token = a.token GROUP BY a.token) GROUP BY 1;
-- name: index_behind
SELECT count(*) FROM (SELECT col, "row" FROM blind WHERE version IN (?, ?) GROUP BY col, "row"
  HAVING sum(version = ?) > sum(version = ?));
-- name: drop_index
DELETE FROM blind WHERE version = ?;
-- name: add_sealed
INSERT OR REPLACE INTO sealed (tbl, "row", col, envelope) VALUES (?, ?, ?, ?);
-- name: blind
SELECT b.version, b.value, b."row" FROM json_each(?) AS k CROSS JOIN blind AS b
ON b.col = ? AND b.version = json_extract(k.value, '$[0]') AND b.value = json_extract(k.value, '$[1]') ORDER BY b."row";
-- name: add_blind
INSERT OR IGNORE INTO blind (col, version, value, "row") VALUES (?, ?, ?, ?);
-- name: delete_blind
DELETE FROM blind WHERE "row" = ?;
-- name: templates
SELECT t.name, t.version, status, purposes, channels, language, subject, body, variables, digest, since, until,
  details, data, author, quorum, reviews, number, number_until, providers, screened
FROM json_each(?) AS k CROSS JOIN templates AS t
ON t.name = json_extract(k.value, '$[0]') AND t.version = json_extract(k.value, '$[1]');
-- name: page_templates
SELECT name, version, status, purposes, channels, language, subject, body, variables, digest, since, until, details, data,
  author, quorum, reviews, number, number_until, providers, screened
FROM templates WHERE (name, version) > (?, ?) ORDER BY name, version LIMIT ?;
-- name: latest_template
SELECT max(version) FROM templates WHERE name = ?;
-- name: put_template
INSERT OR REPLACE INTO templates (name, version, status, purposes, channels, language, subject, body, variables, digest,
  since, until, details, data, author, quorum, reviews, number, number_until, providers, screened)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: credentials
SELECT c.id, actor, role, since, until, ended_at
FROM json_each(?) AS k CROSS JOIN credentials AS c ON c.actor = k.value ORDER BY since, c.id;
-- name: put_credential
INSERT OR REPLACE INTO credentials (id, actor, role, since, until, ended_at) VALUES (?, ?, ?, ?, ?, ?);
-- name: access
SELECT id, patient, actor, emergency, what, purpose, at, by, until, reviewed_at, finding FROM accesses WHERE id = ?;
-- name: accesses
SELECT a.id, patient, actor, emergency, what, purpose, at, by, until, reviewed_at, finding
FROM json_each(?) AS k CROSS JOIN accesses AS a ON a.patient = k.value ORDER BY at, a.id;
-- name: open_reviews
SELECT id, patient, actor, emergency, what, purpose, at, by, until, reviewed_at, finding FROM accesses
WHERE emergency = 1 AND reviewed_at IS NULL ORDER BY at, id LIMIT ?;
-- name: put_access
INSERT OR REPLACE INTO accesses (id, patient, actor, emergency, what, purpose, at, by, until, reviewed_at, finding)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: erasures
SELECT e.patient, owners, phase, reason, by, begun, shredded_at, clean, copies, receipt
FROM json_each(?) AS k CROSS JOIN erasures AS e ON e.patient = k.value;
-- name: page_erasures
SELECT patient, owners, phase, reason, by, begun, shredded_at, clean, copies, receipt
FROM erasures WHERE patient > ? ORDER BY patient LIMIT ?;
-- name: put_erasure
INSERT OR REPLACE INTO erasures (patient, owners, phase, reason, by, begun, shredded_at, clean, copies, receipt)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: unused_addresses
SELECT a.token FROM json_each(?) AS k CROSS JOIN addresses AS a ON a.token = k.value
WHERE NOT EXISTS (SELECT 1 FROM contacts AS c WHERE c.token = a.token);
-- name: forget_address
DELETE FROM addresses WHERE token = ?;
-- name: replace_token
UPDATE reservations SET token = ? WHERE token = ?;
-- name: pack
SELECT data FROM packs WHERE digest = ?;
-- name: put_pack
INSERT OR REPLACE INTO packs (digest, data) VALUES (?, ?);
-- name: allow_listed
SELECT a.token FROM json_each(?) AS k CROSS JOIN allow_list AS a ON a.token = k.value;
-- name: allow
INSERT OR IGNORE INTO allow_list (token) VALUES (?);
-- name: disallow
DELETE FROM allow_list WHERE token = ?;
-- name: stopped_channels
SELECT channel FROM channel_stops;
-- name: stop_channel
INSERT OR IGNORE INTO channel_stops (channel) VALUES (?);
-- name: resume_channel
DELETE FROM channel_stops WHERE channel = ?;
-- name: note_event
INSERT OR IGNORE INTO events (channel, event) VALUES (?, ?);
-- name: park
INSERT INTO parked (channel, key, event, at) VALUES (?, ?, ?, ?);
-- name: unpark
DELETE FROM parked WHERE channel = ? AND key IN (SELECT value FROM json_each(?)) RETURNING key, event, at, id;
