// Document work with the official client, as its users write it. Argument: the server's address.
import assert from "node:assert/strict";
import { Meilisearch } from "meilisearch";

const client = new Meilisearch({ host: process.argv[2] });
const succeeded = async (task) => {
  const done = await task.waitTask();
  assert.equal(done.status, "succeeded", JSON.stringify(done.error));
  return done;
};

assert.equal((await client.health()).status, "available");
assert.ok((await client.getVersion()).pkgVersion);

await succeeded(client.createIndex("films", { primaryKey: "id" }));
const repeated = await client.createIndex("films").waitTask();
assert.equal(repeated.status, "failed");
assert.equal(repeated.error.code, "index_already_exists");
assert.equal((await client.getIndex("films")).primaryKey, "id");
assert.deepEqual((await client.getIndexes()).results.map((i) => i.uid), ["films"]);

const films = client.index("films");
const many = Array.from({ length: 50 }, (_, i) => ({ id: i, title: `Film ${i}`, year: 1950 + i, cast: { lead: "é😀" } }));
const added = await succeeded(films.addDocuments(many));
assert.equal(added.type, "documentAdditionOrUpdate");
assert.equal(added.details.receivedDocuments, 50);
assert.equal(added.details.indexedDocuments, 50);
assert.ok(added.duration && added.enqueuedAt && added.finishedAt);

await succeeded(films.updateDocuments([{ id: 7, rating: 9.5 }, { id: 100, title: "New" }]));
assert.deepEqual(await films.getDocument(7), { ...many[7], rating: 9.5 });
assert.deepEqual(await films.getDocument(7, { fields: ["id", "title"] }), { id: 7, title: "Film 7" });
await succeeded(films.addDocuments([{ id: 7, title: "Replaced" }]));
assert.deepEqual(await films.getDocument("7"), { id: 7, title: "Replaced" });

const seen = new Set();
for (let offset = 0; ; offset += 20) {
  const page = await films.getDocuments({ offset, limit: 20, fields: ["id"] });
  assert.equal(page.total, 51);
  page.results.forEach((d) => (assert.deepEqual(Object.keys(d), ["id"]), seen.add(d.id)));
  if (page.results.length < 20) break;
}
assert.equal(seen.size, 51);
assert.equal((await films.getDocuments({ ids: [3, 5] })).results.length, 2);

const lines = many.map((d) => JSON.stringify({ ...d, id: 1000 + d.id })).join("\n");
await succeeded(films.addDocumentsFromString(lines, "application/x-ndjson"));
for (const task of films.addDocumentsInBatches([{ id: "a" }, { id: "b" }, { id: "c" }], 2)) await succeeded(task);
assert.equal((await films.getStats()).numberOfDocuments, 104);
assert.equal((await client.getStats()).indexes.films.numberOfDocuments, 104);

assert.equal((await succeeded(films.deleteDocument(7))).details.deletedDocuments, 1);
await assert.rejects(films.getDocument(7), (e) => e.cause.code === "document_not_found");
assert.equal((await succeeded(films.deleteDocuments([1, 2, "a", "none"]))).details.deletedDocuments, 3);
assert.equal((await succeeded(films.deleteAllDocuments())).details.deletedDocuments, 100);
assert.equal((await films.getDocuments()).total, 0);

await assert.rejects(films.addDocuments([{ title: "no id" }]), (e) => e.cause.code === "missing_document_id");
await assert.rejects(films.search("film"), (e) => e.cause.code === "not_implemented");
await succeeded(client.index("books").addDocuments([{ bookId: "x/y" }]));
assert.equal(await client.index("books").fetchPrimaryKey(), "bookId");
assert.equal((await client.index("books").getDocument(encodeURIComponent("x/y"))).bookId, "x/y");

const tasks = await client.tasks.getTasks({ limit: 3, statuses: ["succeeded"], types: ["documentDeletion"], indexUids: ["films"] });
assert.equal(tasks.results.length, 3);
assert.equal(tasks.total, 3);
assert.ok(Number.isSafeInteger(tasks.results[0].uid));
assert.equal((await client.tasks.getTask(tasks.results[0].uid)).uid, tasks.results[0].uid);

await succeeded(client.deleteIndex("books"));
assert.equal(await client.deleteIndexIfExists("books"), false);
console.log("done");
