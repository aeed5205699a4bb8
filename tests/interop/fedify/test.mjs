// Baraza and a server that nobody here wrote follow each other and tell each other what is new.
// Usage: node test.mjs PATH-TO-BARAZA WORK-FOLDER
import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import jsonld from "jsonld";
import { lookupWebFinger } from "@fedify/webfinger";
import { generateCryptoKeyPair, signObject, signRequest, verifyObject } from "@fedify/fedify";
import { Activity, Create, Follow, isActor, lookupObject, Undo } from "@fedify/vocab";
import { Temporal } from "@js-temporal/polyfill";
import { serve } from "./server.mjs";

const [baraza, work] = process.argv.slice(2);
const PATIENCE = 60_000;
const CAVAGE = "draft-cavage-http-signatures-12";
const ports = [await freePort(), await freePort(), await freePort()];
const [port, libraryPort, foreignPort] = ports;
const [url, libraryUrl] = [port, libraryPort].map((port) => `http://127.0.0.1:${port}`);
const [dir, libraryDir] = ["hub", "library"].map((name) => `${work}/${name}`);
const run = (...words) => execFileSync(baraza, [...words, "--dir", dir], { encoding: "utf8" });

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function until(what, attempt) {
  const start = Date.now();
  for (;;) {
    const found = await attempt();
    if (found != null && found !== false) return found;
    assert.ok(Date.now() - start < PATIENCE, `not within ${PATIENCE / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function init(dir, url) {
  const peers = ports.flatMap((port) => ["127.0.0.1", "node.localhost"].flatMap((host) => ["--insecure-peer", `${host}:${port}`]));
  execFileSync(baraza, ["init", dir, "--name", "Interop", "--url", url, ...peers]);
}

async function start(dir, url) {
  const node = spawn(baraza, ["serve", "--dir", dir], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  node.stderr.on("data", (data) => (log += data));
  const ended = new Promise((resolve) => node.on("exit", resolve));
  await until("the node serves", async () => {
    assert.equal(node.exitCode, null, log);
    return fetch(`${url}/readyz`).then((answer) => answer.ok, () => false);
  });
  return async () => {
    node.kill("SIGTERM");
    assert.equal(await ended, 0, log);
    assert.ok(!log.includes("panicked"), log);
  };
}

function publish(localId, name, area = "cyber") {
  const file = `${work}/draft.json`;
  const body = { kind: "course", name: { en: name }, areas: [area] };
  writeFileSync(file, JSON.stringify({ type: "Offering", localId, language: "en", body }));
  run("publish", file, "--org", "school");
}

init(dir, url);
run("org", "add", "school", "--name", "School");
let stop = await start(dir, url);
const foreign = await serve(foreignPort, ["reader", "other", "shy", "topical"]);
const ctx = foreign.context();
const loaders = { documentLoader: ctx.documentLoader, contextLoader: ctx.contextLoader };

const step = (text) => console.log(`- ${text}`);
const taken = (type, actor, text) =>
  foreign.taken.find((it) => it.type === type && it.activity.actorId.href === actor && it.request.body.includes(text));
const arrives = (type, actor, text) => until(`${type} of ${text} by ${actor}`, () => taken(type, actor, text));

const school = `${url}/orgs/school`;
const hub = `${url}/actor`;

// It finds us.
const found = await lookupWebFinger(new URL(school), { allowPrivateAddress: true });
assert.equal(found.subject, `acct:school@127.0.0.1:${port}`);
const account = await fetch(`${url}/.well-known/webfinger?resource=${encodeURIComponent(found.subject)}`);
assert.deepEqual(await account.json(), found);
const self = found.links.find((link) => link.rel === "self").href;
const actor = await lookupObject(self, loaders);
assert.ok(isActor(actor) && actor.id.href === school, "our actor reads");
assert.equal((await actor.getPublicKey(loaders)).publicKey.algorithm.name, "RSASSA-PKCS1-v1_5");
const methods = [];
for await (const method of actor.getAssertionMethods(loaders)) methods.push(method.publicKey.algorithm.name);
assert.deepEqual(methods, ["Ed25519"]);
step("found by WebFinger, and its actor reads");

// It follows, and is accepted.
async function follow(name, target) {
  const object = await lookupObject(target, loaders);
  const activity = new Follow({
    id: new URL(`${foreign.origin}/follows/${crypto.randomUUID()}`),
    actor: ctx.getActorUri(name),
    object: object.id,
    to: object.id,
  });
  await ctx.sendActivity({ identifier: name }, object, activity, { immediate: true });
  await arrives("Accept", target, activity.id.href);
  return activity;
}
const followed = await follow("reader", school);
await follow("other", hub);
const accept = taken("Accept", school, followed.id.href).request;
assert.equal(accept.signedBy, school, "the signature of the Accept holds");
assert.equal(accept.provenBy, school, "the proof of the Accept holds");
step("follows and is accepted: HTTP signature and proof hold");

// It is told, and what it is told holds.
publish("incident-101", "Incident response — “débutant” 😀");
const created = await arrives("Create", school, "incident-101");
assert.equal(created.request.signedBy, school);
assert.equal(created.request.provenBy, school);
assert.equal(created.request.dialect, "rfc9421");
const record = JSON.parse(created.request.body).object.barazaRecord;
writeFileSync(`${work}/record.json`, JSON.stringify(record, null, 2));
writeFileSync(`${work}/did.jsonl`, await (await fetch(`${school}/did.jsonl`)).text());
verify(`${work}/record.json`, "--log", `${work}/did.jsonl`);
// The term is typed @json: to a reader of JSON-LD too, the record is one literal, untouched.
const expanded = await jsonld.expand(JSON.parse(created.request.body), { documentLoader: ctx.contextLoader });
const literal = expanded[0]["https://www.w3.org/ns/activitystreams#object"][0]["urn:baraza:record"];
assert.deepEqual(literal, [{ "@type": "@json", "@value": record }]);
step("receives a Create: signature and proof hold, and the record within verifies here");

publish("incident-101", "Incident response, revised");
assert.equal((await arrives("Update", school, "revised")).request.provenBy, school);
run("withdraw", `${record.author.split(":")[2]}/incident-101`);
assert.equal((await arrives("Delete", school, "incident-101")).request.provenBy, school);
await arrives("Delete", hub, "incident-101");
step("receives Update and Delete");

// A server that knows the older dialect only is spoken to in it, and this is remembered.
foreign.knows = CAVAGE;
foreign.asked.length = 0;
publish("older-1", "Older one");
assert.equal((await arrives("Create", school, "older-1")).request.signedBy, school);
const knocks = () => foreign.asked.filter((it) => it.path === "/inbox").map((it) => it.dialect);
await arrives("Create", hub, "older-1");
assert.equal(knocks()[0], "rfc9421");
await stop();
stop = await start(dir, url);
foreign.asked.length = 0;
publish("older-2", "Older two");
assert.equal((await arrives("Create", school, "older-2")).request.signedBy, school);
await arrives("Create", hub, "older-2");
assert.deepEqual([...new Set(knocks())], [CAVAGE], "the dialect is remembered over a restart");
foreign.knows = null;
step("a server that knows draft-cavage-12 only is spoken to in it, after a restart at once");

// Who follows an area hears of that area only, whoever the author and wherever it is at home.
init(libraryDir, libraryUrl);
const stopLibrary = await start(libraryDir, libraryUrl);
execFileSync(baraza, ["follow", url, "--dir", libraryDir]);
const area = `${libraryUrl}/topics/cyber`;
const areaFound = await lookupWebFinger(new URL(area), { allowPrivateAddress: true });
assert.equal(areaFound.subject, `acct:topic_cyber@127.0.0.1:${libraryPort}`);
assert.equal((await lookupObject(area, loaders)).constructor.name, "Group");
await follow("topical", area);
const here = `${url}/topics/cyber`;
await follow("topical", here);
publish("connected-1", "Wires", "connectivity");
publish("moving-1", "Patches", "cyber");
for (const [by, author] of [[here, school], [area, `${libraryUrl}/actor`]]) {
  const announced = await arrives("Announce", by, "moving-1");
  assert.equal(announced.request.signedBy, by);
  assert.equal(announced.request.provenBy, by);
  const inner = JSON.parse(announced.request.body).object;
  assert.equal(inner.type, "Create");
  // What is passed on has its own author's proof, and is at the address that it names.
  const proven = await verifyObject(Activity, inner, loaders);
  assert.equal(proven?.actorId.href, author);
  const there = await lookupObject(inner.id, loaders);
  assert.equal(there.actorId.href, author);
  const again = await lookupObject(announced.activity.id, loaders);
  assert.equal(again.objectId.href, inner.id);
  assert.deepEqual(inner.object.barazaRecord.localId, "moving-1");
}
publish("moving-1", "Patches and laws", "policy");
for (const by of [here, area]) await arrives("Announce", by, "Patches and laws");
publish("moving-1", "Laws alone", "policy");
publish("staying-1", "Firewalls", "cyber");
for (const by of [here, area]) {
  await arrives("Announce", by, "staying-1");
  assert.equal(taken("Announce", by, "Laws alone"), undefined, "the departing version is told once");
  assert.equal(taken("Announce", by, "connected-1"), undefined, "nothing of another area");
  const box = await (await fetch(`${by}/outbox`)).json();
  const page = await (await fetch(box.first)).json();
  const told = page.orderedItems.map((item) => item.object.object.barazaRecord.localId);
  assert.ok(told.includes("staying-1") && !told.includes("moving-1") && !told.includes("connected-1"), `${told}`);
}
await stopLibrary();
step("follows an area at two nodes: Announce of that area only, the departing version once");

// An actor that is shown only to those who say who they are.
foreign.asked.length = 0;
await follow("shy", school);
const asked = foreign.asked.filter((it) => it.path === "/users/shy").map((it) => [it.dialect, it.status]);
assert.deepEqual(asked, [[null, 401], [CAVAGE, 200]]);
step("fetches, signed, an actor that is not shown to strangers");

// What it sends is taken if all holds, and refused with 4xx if anything does not.
const [rsa, ed25519] = await foreign.keys("reader");
// Taken without effect: of a type that a directory does not act on.
const harmless = (text) =>
  new Activity({ id: new URL(`${foreign.origin}/activities/${crypto.randomUUID()}`), actor: ctx.getActorUri("reader"), summary: text });
const prove = async (activity) =>
  (await signObject(activity, ed25519.privateKey, ed25519.multikey.id, loaders)).toJsonLd(loaders);
const request = (body, headers = {}) =>
  new Request(`${url}/inbox`, {
    method: "POST",
    headers: { "content-type": "application/activity+json", ...headers },
    body,
  });
async function send(spec, body, change = (signed) => signed, key = rsa.privateKey, keyId = rsa.cryptographicKey.id, options = {}) {
  const signed = await signRequest(request(body), key, keyId, { spec, ...options });
  const answer = await fetch(await change(signed, body));
  return [answer.status, answer.ok ? null : (await answer.json()).code];
}
const changed = (body) => (signed) => new Request(signed.url, { method: "POST", headers: signed.headers, body });
const without = (name) => (signed, body) => {
  const headers = new Headers(signed.headers);
  headers.delete(name);
  return new Request(signed.url, { method: "POST", headers, body });
};
for (const spec of ["rfc9421", CAVAGE]) {
  const digest = spec === "rfc9421" ? "content-digest" : "digest";
  const body = JSON.stringify(await prove(harmless("hello")));
  assert.deepEqual(await send(spec, body), [202, null], `${spec}: what holds is taken`);
  const another = body.replace("hello", "hullo");
  assert.notEqual(another, body);
  assert.deepEqual(await send(spec, body, changed(another)), [401, "digest-mismatch"], `${spec}: a changed body`);
  const strange = (await generateCryptoKeyPair("RSASSA-PKCS1-v1_5")).privateKey;
  assert.deepEqual(await send(spec, body, undefined, strange), [401, "bad-signature"], `${spec}: a foreign key`);
  const [other] = await foreign.keys("other");
  const [status] = await send(spec, body, undefined, other.privateKey, other.cryptographicKey.id);
  assert.ok(status === 403 || status === 401, `${spec}: another actor's key: ${status}`);
  const old = { currentTime: Temporal.Now.instant().subtract({ hours: 2 }) };
  assert.deepEqual(await send(spec, body, undefined, undefined, undefined, old), [401, "stale"], `${spec}: a stale date`);
  const [bare] = await send(spec, body, without(digest));
  assert.equal(bare, 401, `${spec}: a missing digest`);
  const [unsigned] = await send(spec, body, without("signature"));
  assert.equal(unsigned, 401, `${spec}: no signature`);
  // Signed anew over a body whose own proof no longer fits.
  const [broken, code] = await send(spec, another);
  assert.ok(broken >= 400 && broken < 500, `${spec}: a broken proof: ${broken} ${code}`);
  const foreignProof = JSON.parse(body);
  foreignProof.proof.verificationMethod = other.multikey.id.href;
  const [foreignKey] = await send(spec, JSON.stringify(foreignProof));
  assert.ok(foreignKey >= 400 && foreignKey < 500, `${spec}: a proof by another's key: ${foreignKey}`);
}
step("what it sends is verified: changed body, foreign key, stale date, missing digest, broken proof get 4xx");

// After an Undo nothing more arrives: the other follower shows that all was sent that was owed.
const undo = new Undo({
  id: new URL(`${foreign.origin}/undos/${crypto.randomUUID()}`),
  actor: ctx.getActorUri("reader"),
  object: followed,
});
await ctx.sendActivity({ identifier: "reader" }, actor, undo, { immediate: true });
const unshy = new Undo({
  id: new URL(`${foreign.origin}/undos/${crypto.randomUUID()}`),
  actor: ctx.getActorUri("shy"),
  object: new Follow({ actor: ctx.getActorUri("shy"), object: new URL(school) }),
});
await ctx.sendActivity({ identifier: "shy" }, actor, unshy, { immediate: true });
const count = await (await fetch(`${school}/followers`)).json();
assert.equal(count.totalItems, 0);
publish("after-undo", "After the end");
await arrives("Create", hub, "after-undo");
publish("after-undo-2", "After the end, again");
await arrives("Create", hub, "after-undo-2");
assert.equal(taken("Create", school, "after-undo"), undefined);
step("after an Undo nothing more arrives");

await stop();
foreign.close();
console.log("a foreign ActivityPub server and this one agree");
process.exit(0);

function verify(...words) {
  return execFileSync(baraza, ["verify", ...words], { encoding: "utf8" });
}
